//! Which pages may open a socket: browsers ask no leave for it, as they do for requests.

use actix_web::{
    HttpRequest,
    http::header::{HOST, ORIGIN},
};

use crate::{ApiError, EdgeSettings};

/// No origin (no browser), our own, or a configured one.
pub(super) fn check(request: &HttpRequest, edge: &EdgeSettings) -> Result<(), ApiError> {
    let Some(origin) = request.headers().get(ORIGIN) else { return Ok(()) };
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let is_good = origin.to_str().is_ok_and(|origin| {
        is_configured(origin, edge) || host.is_some_and(|host| is_host(origin, host))
    });
    if is_good { Ok(()) } else { Err(ApiError::OriginRefused) }
}

fn is_configured(origin: &str, edge: &EdgeSettings) -> bool {
    let is_it = |known: &String| known == "*" || known.eq_ignore_ascii_case(origin);
    edge.cors_origins.iter().any(is_it)
}

/// Whether an origin (RFC 6454, 6.1) names the host that was asked. A proxy may have ended TLS, so
/// the scheme tells only which port goes without saying.
fn is_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |name: &str| name.strip_suffix(port).unwrap_or(name).to_ascii_lowercase();
    bare(authority) == bare(host)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn is_good(origin: Option<&'static str>) -> bool {
        let edge = EdgeSettings {
            cors_origins: vec!["https://chat.example.com".into()],
            ..EdgeSettings::default()
        };
        let request = TestRequest::default().insert_header((HOST, "api.example.com:8080"));
        let request = match origin {
            Some(origin) => request.insert_header((ORIGIN, origin)),
            None => request,
        };
        check(&request.to_http_request(), &edge).is_ok()
    }

    #[test]
    fn none_the_same_host_and_configured_ones_are_good() {
        for origin in [
            None,
            Some("http://api.example.com:8080"),
            Some("https://API.example.com:8080"),
            Some("https://chat.example.com"),
        ] {
            assert!(is_good(origin), "{origin:?}");
        }
    }

    #[test]
    fn others_are_not() {
        for origin in [
            "null",
            "",
            "http://api.example.com",
            "http://evil.example.com:8080",
            "https://chat.example.com.evil.com",
            "http://chat.example.com",
            "ftp://api.example.com:8080",
        ] {
            assert!(!is_good(Some(origin)), "{origin}");
        }
    }

    #[test]
    fn a_port_that_goes_without_saying_may_be_said() {
        assert!(is_host("https://example.com", "example.com:443"));
        assert!(is_host("http://example.com", "example.com"));
        assert!(!is_host("https://example.com", "example.com:80"));
    }
}
