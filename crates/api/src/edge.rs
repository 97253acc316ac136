//! What holds for every request: limits, headers, versions.

use actix_cors::Cors;
use actix_web::{
    Error, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderName, HeaderValue, IF_MATCH},
    middleware::Next,
};
use repartee_domain::Version;

use crate::ApiError;

#[derive(Debug, Clone)]
pub struct EdgeSettings {
    /// The largest JSON body.
    pub body_limit_bytes: usize,
    /// Origins that a browser may call from, besides our own. `*` is any.
    pub cors_origins: Vec<String>,
}

impl EdgeSettings {
    pub(crate) const DEFAULT_BODY_LIMIT: usize = 256 * 1024;
}

/// For the pages and the API. The two documentation pages bring their own.
pub(crate) const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const FIXED: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Adds the security headers to every response.
pub(crate) async fn security_headers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, value);
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    }
    Ok(response)
}

/// Cross-origin requests by allow-list. Cookies are not used, so credentials are never allowed.
pub(crate) fn cors(settings: &EdgeSettings) -> Cors {
    let exposed = ["etag", "location", "retry-after", "x-request-id", "x-should-retry"];
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allow_any_header()
        .expose_headers(exposed)
        .max_age(600);
    if settings.cors_origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin().send_wildcard();
    }
    settings.cors_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// A strong entity tag (RFC 9110, 8.8.3).
pub(crate) fn entity_tag(version: Version) -> String {
    format!("\"{}\"", version.get())
}

/// The version in `If-Match`; `None` where there is none, or `*`, which any version matches.
pub(crate) fn if_match(request: &HttpRequest) -> Result<Option<Version>, ApiError> {
    let Some(value) = request.headers().get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match number.and_then(|number| number.parse().ok()) {
        Some(number) => Ok(Some(Version::new(number))),
        // What we never gave out cannot be the current version.
        None => Err(repartee_application::AppError::VersionMismatch.into()),
    }
}
