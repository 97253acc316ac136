//! What every route that takes a body may answer before it reads a field.

use utoipa::{
    Modify,
    openapi::{
        Content, OpenApi, Ref, RefOr, Response,
        path::{Operation, PathItem},
        response::ResponseBuilder,
    },
};

use crate::openai;

const REFUSALS: [(&str, &str); 4] = [
    ("400", "`malformed_json` or `body_incomplete`"),
    ("413", "`body_too_large`"),
    ("415", "`unsupported_media_type`"),
    ("422", "`invalid_fields`"),
];

/// Adds them where a route doesn't say them itself.
pub(super) struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let PathItem { get, put, post, delete, patch, .. } = item;
            for operation in [get, put, post, delete, patch].into_iter().flatten() {
                if operation.request_body.is_some() {
                    add(path, operation);
                }
            }
        }
    }
}

fn add(path: &str, operation: &mut Operation) {
    for (status, description) in REFUSALS {
        // OpenAI's surface has no 422: what is invalid is 400 as well.
        if openai::is_of(path) && status == "422" {
            continue;
        }
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(refusal(path, description)));
    }
}

fn refusal(path: &str, description: &str) -> Response {
    let (media_type, content) = error_schema(path);
    ResponseBuilder::new().description(description).content(media_type, content).build()
}

/// How errors are put there.
pub(super) fn error_schema(path: &str) -> (&'static str, Content) {
    let (media_type, name) = if openai::is_of(path) {
        ("application/json", "OpenAiErrorBody")
    } else {
        ("application/problem+json", "Problem")
    };
    (media_type, Content::new(Some(Ref::from_schema_name(name))))
}
