//! What every operation that is limited has in common, so that no handler has to say it.

use actix_web::http::Method;
use utoipa::{
    Modify,
    openapi::{
        Header, Object, OpenApi, RefOr, Response, ResponseBuilder,
        path::{Operation, PathItem},
        schema::Type,
    },
};

use super::refusals::error_schema;
use crate::limits::{NAMES, class_of};

const TOO_MANY: &str = "429";
const RATE_LIMITED: &str = "`rate_limited`: too many requests";

pub(super) struct RateLimits;

impl Modify for RateLimits {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                if class_of(&method, Some(path)).is_some() {
                    tell(path, operation);
                }
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let operations = [
        (Method::GET, &mut item.get),
        (Method::POST, &mut item.post),
        (Method::PUT, &mut item.put),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ];
    operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn tell(path: &str, operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    match responses.get_mut(TOO_MANY) {
        Some(RefOr::T(response)) => {
            response.description = format!("{}; or {RATE_LIMITED}", response.description);
        }
        Some(RefOr::Ref(_)) => {}
        None => {
            responses.insert(TOO_MANY.to_owned(), RefOr::T(rate_limited(path)));
        }
    }
    if let Some(RefOr::T(response)) = responses.get_mut(TOO_MANY) {
        let seconds = header(Type::Integer, "Seconds until the same would be let in");
        response.headers.insert("Retry-After".to_owned(), seconds);
        for (name, description) in NAMES {
            let kind = if name.starts_with("X-") { Type::Integer } else { Type::String };
            response.headers.insert(name.to_owned(), header(kind, description));
        }
    }
}

fn rate_limited(path: &str) -> Response {
    let (media_type, content) = error_schema(path);
    ResponseBuilder::new().description(RATE_LIMITED).content(media_type, content).build()
}

fn header(kind: Type, description: &str) -> RefOr<Header> {
    let mut header = Header::new(Object::with_type(kind));
    header.description = Some(description.to_owned());
    RefOr::T(header)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn every_operation_that_is_limited_says_so_and_no_other() {
        let document: Value = serde_json::to_value(crate::openapi()).unwrap();
        let of =
            |path: &str, method: &str| document["paths"][path][method]["responses"]["429"].clone();
        assert_eq!(of("/health", "get"), Value::Null);
        assert_eq!(of("/docs/{file}", "get"), Value::Null);
        for (path, item) in document["paths"].as_object().unwrap() {
            let is_api = path.starts_with("/api/v1/") && path != "/api/v1/health";
            for method in item.as_object().unwrap().keys().filter(|_| is_api) {
                let response = of(path, method);
                let description = response["description"].as_str().unwrap_or_default();
                assert!(description.contains("rate_limited"), "{method} {path}: {response}");
                assert!(response["headers"]["RateLimit"].is_object(), "{method} {path}");
                assert!(response["headers"]["Retry-After"].is_object(), "{method} {path}");
            }
        }
        let send = of("/api/v1/conversations/{conversation_id}/messages", "post");
        assert!(send["description"].as_str().unwrap().starts_with("`too_many_generations`"));
    }
}
