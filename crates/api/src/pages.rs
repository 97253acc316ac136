//! The page at `/`, served from the binary.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::Path,
};

use crate::ApiError;

const ICON: (&str, &str) = ("image/svg+xml", include_str!("../assets/favicon.svg"));

/// The chat page.
#[utoipa::path(
    get, path = "/", tag = "pages",
    responses((status = 200, body = String, content_type = "text/html")), security(()),
)]
pub(crate) async fn index() -> HttpResponse {
    file(("text/html; charset=utf-8", include_str!("../assets/index.html")))
}

/// What the chat page is made of.
#[utoipa::path(
    get, path = "/assets/{file}", tag = "pages", params(("file" = String, Path)),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/plain"),
        (status = 404, description = "`route_not_found`", body = crate::problem::Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn asset(name: Path<String>) -> Result<HttpResponse, ApiError> {
    match name.as_str() {
        "app.css" => Ok(file(("text/css; charset=utf-8", include_str!("../assets/app.css")))),
        "app.js" => Ok(file(("text/javascript; charset=utf-8", include_str!("../assets/app.js")))),
        "favicon.svg" => Ok(file(ICON)),
        _ => Err(ApiError::RouteNotFound),
    }
}

/// For browsers that ask for it by habit.
#[utoipa::path(
    get, path = "/favicon.ico", tag = "pages",
    responses((status = 200, description = "The icon", body = String, content_type = "image/svg+xml")),
    security(()),
)]
pub(crate) async fn favicon() -> HttpResponse {
    file(ICON)
}

fn file((content_type, text): (&'static str, &'static str)) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(text)
}
