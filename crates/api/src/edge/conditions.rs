//! Conditional requests (RFC 9110, 13).

use actix_web::{
    Error, HttpRequest,
    body::{EitherBody, MessageBody, None as NoBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH},
    },
    middleware::Next,
};
use repartee_application::AppError;
use repartee_domain::Version;

use crate::ApiError;

/// A strong entity tag (RFC 9110, 8.8.3).
pub(crate) fn entity_tag(version: Version) -> String {
    format!("\"{}\"", version.get())
}

/// The version that `If-Match` asks for; `None` where there is none, or `*`, which any version
/// matches. Versions only go up, so of several the newest alone can be the one in force. A weak tag
/// matches nothing (RFC 9110, 13.1.1), and neither does what was never given out.
pub(crate) fn if_match(request: &HttpRequest) -> Result<Option<Version>, ApiError> {
    let Some(asked) = asked(request.headers(), IF_MATCH) else { return Ok(None) };
    if asked.trim() == "*" {
        return Ok(None);
    }
    let strong = tags(&asked).filter(|tag| !tag.is_weak);
    let newest = strong.filter_map(|tag| tag.opaque.parse().ok()).max();
    newest.map(|number| Some(Version::new(number))).ok_or(AppError::VersionMismatch.into())
}

/// Answers 304 where the caller has what the answer would give.
pub(crate) async fn not_modified<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, NoBody>>, Error> {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let known = if is_read { asked(request.headers(), IF_NONE_MATCH) } else { None };
    let response = next.call(request).await?;
    let is_known = response.status() == StatusCode::OK
        && known.is_some_and(|known| is_among(response.headers(), &known));
    Ok(response.map_body(|head, body| {
        if is_known {
            head.status = StatusCode::NOT_MODIFIED;
            head.headers.remove(CONTENT_TYPE);
            EitherBody::right(NoBody::new())
        } else {
            EitherBody::left(body)
        }
    }))
}

/// Weak and strong tags count alike here (RFC 9110, 13.1.2).
fn is_among(headers: &HeaderMap, known: &str) -> bool {
    let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
    let Some(tag) = tag.and_then(|tag| tags(tag).next()) else { return false };
    known.trim() == "*" || tags(known).any(|known| known.opaque == tag.opaque)
}

/// All lines of a header as one.
fn asked(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines = headers.get_all(name).map(|line| line.to_str().unwrap_or_default());
    lines.map(str::to_owned).reduce(|one, other| format!("{one},{other}"))
}

#[derive(Debug, PartialEq, Eq)]
struct Tag<'a> {
    is_weak: bool,
    /// What stands between the quotes.
    opaque: &'a str,
}

/// A list of entity tags, up to what is none.
fn tags(mut text: &str) -> impl Iterator<Item = Tag<'_>> {
    std::iter::from_fn(move || {
        text = text.trim_start_matches([' ', '\t', ',']);
        let strong = text.strip_prefix("W/");
        let quoted = strong.unwrap_or(text).strip_prefix('"')?;
        let (opaque, rest) = quoted.split_once('"')?;
        text = rest;
        Some(Tag { is_weak: strong.is_some(), opaque })
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn matching(lines: &[&'static str]) -> Result<Option<u32>, ()> {
        let request = lines
            .iter()
            .fold(TestRequest::default(), |request, line| request.append_header((IF_MATCH, *line)));
        let version = if_match(&request.to_http_request()).map_err(drop)?;
        Ok(version.map(Version::get))
    }

    #[test]
    fn the_newest_of_the_strong_tags_counts() {
        assert_eq!(matching(&[]), Ok(None));
        assert_eq!(matching(&["*"]), Ok(None));
        assert_eq!(matching(&["\"3\""]), Ok(Some(3)));
        assert_eq!(matching(&["\"1\", \"12\" ,W/\"99\",\"2\""]), Ok(Some(12)));
        assert_eq!(matching(&["\"1\"", "\"2\""]), Ok(Some(2)));
        assert_eq!(matching(&["\"a,b\", \"2\""]), Ok(Some(2)));
        for nothing in ["", "3", "W/\"3\"", "\"tea\"", "\"3", "\"-1\"", "\"99999999999\""] {
            assert_eq!(matching(&[nothing]), Err(()), "{nothing}");
        }
    }

    #[test]
    fn what_is_known_is_found_whether_weak_or_strong() {
        let mut headers = HeaderMap::new();
        assert!(!is_among(&headers, "*"), "there is nothing to compare with");
        headers.insert(ETAG, "\"7\"".parse().unwrap());
        for known in ["\"7\"", "W/\"7\"", "\"1\", \"7\"", " * "] {
            assert!(is_among(&headers, known), "{known}");
        }
        for other in ["", "7", "\"8\"", "\"77\""] {
            assert!(!is_among(&headers, other), "{other}");
        }
    }
}
