//! What every route that takes a body may answer before it reads a field.

use utoipa::{
    Modify,
    openapi::{
        Content, OpenApi, Ref, RefOr, Response,
        path::{Operation, PathItem},
        response::ResponseBuilder,
    },
};

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
        for item in document.paths.paths.values_mut() {
            let PathItem { get, put, post, delete, patch, .. } = item;
            for operation in [get, put, post, delete, patch].into_iter().flatten() {
                if operation.request_body.is_some() {
                    add(operation);
                }
            }
        }
    }
}

fn add(operation: &mut Operation) {
    for (status, description) in REFUSALS {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
    }
}

fn problem(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
}
