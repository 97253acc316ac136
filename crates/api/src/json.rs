//! Putting things into JSON.

use bytes::Bytes;
use serde::Serialize;

pub(crate) fn to_bytes<T: Serialize>(data: &T) -> Bytes {
    match serde_json::to_vec(data) {
        Ok(bytes) => bytes.into(),
        // Plain structs of texts and numbers always serialise; `{}` is what a reader can skip.
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an answer has no JSON");
            Bytes::from_static(b"{}")
        }
    }
}

/// An object with more fields in front: `head` is an object that lacks its closing brace and has a
/// field at least; `data` is an object.
pub(crate) fn splice(head: &str, data: &[u8]) -> Bytes {
    let rest = data.strip_prefix(b"{").unwrap_or(b"}");
    let between: &[u8] = if rest == b"}" { b"" } else { b"," };
    [head.as_bytes(), between, rest].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_put_before_those_that_are_there() {
        assert_eq!(splice("{\"a\":1", b"{\"b\":2}"), "{\"a\":1,\"b\":2}");
        assert_eq!(splice("{\"a\":1", b"{}"), "{\"a\":1}");
    }
}
