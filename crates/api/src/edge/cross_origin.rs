//! Pages of other origins.

use actix_cors::Cors;

use super::EdgeSettings;

/// What scripts of other origins may read, beside what they always may (Fetch, 3.2.6).
const EXPOSED: [&str; 11] = [
    "content-disposition",
    "etag",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
    "x-should-retry",
];
/// Seconds that a browser remembers the answer to a preflight: as long as any does.
const REMEMBERED: usize = 7200;

/// Cross-origin requests by allow-list. Cookies are not used, so credentials are never allowed.
pub(crate) fn cors(settings: &EdgeSettings) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allow_any_header()
        .expose_headers(EXPOSED)
        .max_age(REMEMBERED);
    if settings.cors_origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin().send_wildcard();
    }
    settings.cors_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
