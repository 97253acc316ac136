//! Headers that every response has.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};

use super::{EdgeSettings, Hsts};

/// For the pages and the API. The two documentation pages bring their own.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const FIXED: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::PERMISSIONS_POLICY,
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
    (header::CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];

/// What a route may decide for itself. An answer is nobody's to keep unless its route says so.
const DEFAULTS: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY)),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// A year.
const BY_TLS_ALONE: HeaderValue = HeaderValue::from_static("max-age=31536000");

pub(crate) async fn security_headers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let hsts = request.app_data::<Data<EdgeSettings>>().map_or(Hsts::Never, |edge| edge.hsts);
    let is_by_tls_alone = match hsts {
        Hsts::Always => true,
        Hsts::BehindTls => came_by_tls(request.headers()),
        Hsts::Never => false,
    };
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, value);
    }
    for (name, value) in DEFAULTS {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    if is_by_tls_alone {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, BY_TLS_ALONE);
    }
    Ok(response)
}

/// Whoever it comes from is believed: a browser heeds the answer only where it came by TLS
/// (RFC 6797, 8.1), and nobody can put the header into somebody else's request.
fn came_by_tls(headers: &HeaderMap) -> bool {
    let scheme = headers.get(header::X_FORWARDED_PROTO).and_then(|value| value.to_str().ok());
    let nearest_the_client = scheme.and_then(|schemes| schemes.split(',').next());
    nearest_the_client.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_proxy_says_of_the_first_hop_counts() {
        for (said, by_tls) in [("https", true), ("HTTPS, http", true), ("http, https", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(header::X_FORWARDED_PROTO, HeaderValue::from_static(said));
            assert_eq!(came_by_tls(&headers), by_tls, "{said}");
        }
        assert!(!came_by_tls(&HeaderMap::new()));
    }
}
