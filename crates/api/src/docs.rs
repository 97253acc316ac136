//! The OpenAPI document and its two readers, served from the binary with no network.

mod bodies;
mod document;
mod limits;
mod refusals;

use std::sync::{Arc, LazyLock};

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    web::{Bytes, Path},
};
use utoipa_swagger_ui::Config;

pub use self::document::openapi;
use crate::ApiError;

/// Both readers need inline styles, and ReDoc a worker made of a blob.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src blob:; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SWAGGER_PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Repartee: API</title>
<link rel="icon" href="/assets/favicon.svg">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"#;

const SWAGGER_START: &str = r##"SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  presets: [SwaggerUIBundle.presets.apis],
});
"##;

const REDOC_PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Repartee: API reference</title>
<link rel="icon" href="/assets/favicon.svg">
</head>
<body>
<redoc spec-url="/openapi.json"></redoc>
<script src="/redoc/redoc.standalone.js"></script>
</body>
</html>
"#;

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    serde_json::to_vec(&openapi()).map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from)
});

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "documentation",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)), security(()),
)]
pub(crate) async fn document() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(DOCUMENT.clone())
}

/// The documentation, with requests that can be tried.
#[utoipa::path(
    get, path = "/docs", tag = "documentation",
    responses((status = 200, body = String, content_type = "text/html")), security(()),
)]
pub(crate) async fn swagger() -> HttpResponse {
    page(SWAGGER_PAGE)
}

/// What the documentation page is made of.
#[utoipa::path(
    get, path = "/docs/{file}", tag = "documentation", params(("file" = String, Path)),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/plain"),
        (status = 404, description = "`route_not_found`", body = crate::problem::Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn swagger_file(name: Path<String>) -> Result<HttpResponse, ApiError> {
    if name.as_str() == "start.js" {
        return Ok(script(SWAGGER_START));
    }
    match utoipa_swagger_ui::serve(&name, Arc::new(Config::from("/openapi.json"))) {
        Ok(Some(file)) => Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, file.content_type))
            .insert_header((CACHE_CONTROL, "public, max-age=86400"))
            .body(file.bytes.into_owned())),
        _ => Err(ApiError::RouteNotFound),
    }
}

/// The reference, for reading.
#[utoipa::path(
    get, path = "/redoc", tag = "documentation",
    responses((status = 200, body = String, content_type = "text/html")), security(()),
)]
pub(crate) async fn redoc() -> HttpResponse {
    page(REDOC_PAGE)
}

/// What the reference page is made of.
#[utoipa::path(
    get, path = "/redoc/{file}", tag = "documentation", params(("file" = String, Path)),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/plain"),
        (status = 404, description = "`route_not_found`", body = crate::problem::Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn redoc_file(name: Path<String>) -> Result<HttpResponse, ApiError> {
    match name.as_str() {
        "redoc.standalone.js" => Ok(script(include_str!("../assets/vendor/redoc.standalone.js"))),
        _ => Err(ApiError::RouteNotFound),
    }
}

fn page(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(text)
}

fn script(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .insert_header((CACHE_CONTROL, "public, max-age=86400"))
        .body(text)
}
