//! `Idempotency-Key`, and what makes two requests the same.

use actix_web::HttpRequest;
use repartee_application::{AppError, IdempotencyKey};
use sha2::{Digest, Sha256};

use crate::ApiError;

/// The key of a request: the header's, or else what the query says. `asked` is all that the answer
/// depends on, beside the route. What a path names may have several names: the use case adds it.
pub(crate) fn idempotency_key(
    request: &HttpRequest,
    in_query: Option<&str>,
    asked: &[&[u8]],
) -> Result<Option<IdempotencyKey>, ApiError> {
    let header = request.headers().get("idempotency-key");
    // What is no text is no key either, and is refused as such.
    let header = header.map(|value| value.to_str().unwrap_or_default());
    let Some(text) = header.or(in_query) else { return Ok(None) };
    let route = request.match_pattern().unwrap_or_default();
    let place = [request.method().as_str().as_bytes(), route.as_bytes()];
    let parts = place.into_iter().chain(asked.iter().copied());
    parse(text, fingerprint(parts)).map(Some)
}

pub(crate) fn parse(text: &str, fingerprint: [u8; 32]) -> Result<IdempotencyKey, ApiError> {
    Ok(IdempotencyKey::parse(text, fingerprint).map_err(AppError::invalid)?)
}

/// SHA-256 of the parts, each with its length before it, so that none runs into the next.
pub(crate) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let of = |parts: [&'static str; 2]| fingerprint(parts.map(str::as_bytes));
        assert_eq!(of(["ab", "c"]), of(["ab", "c"]));
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
        assert_ne!(of(["ab", ""]), of(["", "ab"]));
    }
}
