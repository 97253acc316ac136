//! JSON bodies.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    web::{Bytes, BytesMut, Data},
};
use futures::StreamExt;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{ApiError, edge::EdgeSettings, problem::FieldProblem};

/// Bytes read on past the limit, so that a client that is still sending gets to read the answer.
pub(crate) const DRAIN_BYTES: usize = 1024 * 1024;

/// A body that has arrived and is yet to be understood: a missing resource is told before a bad
/// body.
pub(crate) struct JsonBody {
    bytes: Bytes,
    is_json: bool,
}

impl JsonBody {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// No body at all is an empty object.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        if self.bytes.is_empty() {
            return parse_object(b"{}");
        }
        if !self.is_json {
            return Err(ApiError::UnsupportedMediaType { expected: "application/json" });
        }
        parse_object(&self.bytes)
    }
}

/// As [`parse_json`], of an object. serde takes a list for a struct too: its fields in their order.
pub(crate) fn parse_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let value = parse_json(bytes)?;
    if bytes.trim_ascii_start().starts_with(b"{") {
        Ok(value)
    } else {
        Err(ApiError::invalid(".", "invalid", "expected an object"))
    }
}

pub(crate) fn parse_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed: Result<T, _> = serde_path_to_error::deserialize(&mut json);
    match parsed {
        Ok(value) => {
            json.end().map_err(|error| ApiError::MalformedJson(error.to_string()))?;
            Ok(value)
        }
        Err(error) => {
            let path = error.path().to_string();
            let error = error.into_inner();
            // The fields of what is no JSON at all do not matter.
            let whole: Result<IgnoredAny, _> = serde_json::from_slice(bytes);
            if let Err(error) = whole {
                return Err(ApiError::MalformedJson(error.to_string()));
            }
            if error.is_data() {
                Err(ApiError::InvalidFields(vec![field_problem(path, &error)]))
            } else {
                Err(ApiError::MalformedJson(error.to_string()))
            }
        }
    }
}

pub(crate) fn field_problem(path: String, error: &serde_json::Error) -> FieldProblem {
    let text = error.to_string();
    // Where in the text it is matters less than in which field.
    let text = text.rsplit_once(" at line ").map_or(&*text, |(text, _)| text);
    // What was sent is not said again: it may be a password in the wrong place.
    let detail = match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => text.to_owned(),
    };
    let missing = detail.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    match missing {
        Some(field) => FieldProblem {
            field: if path == "." { field.to_owned() } else { format!("{path}.{field}") },
            code: "required".to_owned(),
            detail: "must be given".to_owned(),
        },
        None => FieldProblem { field: path, code: "invalid".to_owned(), detail },
    }
}

impl FromRequest for JsonBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let edge = request.app_data::<Data<EdgeSettings>>().map(|edge| edge.get_ref().clone());
        let edge = edge.unwrap_or_default();
        let (limit, patience) = (edge.body_limit_bytes, edge.body_timeout);
        let is_json = is_json(request.content_type());
        let payload = payload.take();
        Box::pin(async move { Ok(Self { bytes: read(payload, limit, patience).await?, is_json }) })
    }
}

/// What says nothing of itself is taken for JSON.
pub(crate) fn is_json(content_type: &str) -> bool {
    let content_type = content_type.to_ascii_lowercase();
    content_type.is_empty() || content_type == "application/json" || content_type.ends_with("+json")
}

/// A whole body of at most `limit` bytes, which may take so long to arrive.
pub(crate) async fn read(
    mut payload: Payload,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, ApiError> {
    let bytes = timeout(patience, collect(&mut payload, limit)).await;
    bytes.unwrap_or(Err(ApiError::BodyTimeout { limit: patience }))
}

async fn collect(payload: &mut Payload, limit: usize) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    let mut over = 0;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::BodyIncomplete)?;
        if bytes.len() + chunk.len() <= limit && over == 0 {
            bytes.extend_from_slice(&chunk);
            continue;
        }
        over += chunk.len();
        if over > DRAIN_BYTES {
            break;
        }
    }
    if over > 0 { Err(ApiError::BodyTooLarge { limit }) } else { Ok(bytes.freeze()) }
}

/// For `Option<Option<T>>` with `#[serde(default)]`: a field that is absent stays as it is, one
/// that is `null` is emptied.
pub(crate) fn nullable<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// An object of the client's own as it is stored. PostgreSQL's JSON holds no NUL, not even an
/// escaped one.
pub(crate) fn object_text(field: &str, object: Map<String, Value>) -> Result<String, ApiError> {
    let object = Value::Object(object);
    if has_nul(&object) {
        return Err(ApiError::invalid(field, "invalid", "must not contain the NUL character"));
    }
    Ok(object.to_string())
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(object) => {
            object.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Tea {
        #[expect(dead_code, reason = "only its parsing is looked at")]
        sort: String,
    }

    fn parse(text: &'static str) -> ApiError {
        JsonBody { bytes: Bytes::from_static(text.as_bytes()), is_json: true }
            .parse::<Tea>()
            .unwrap_err()
    }

    #[test]
    fn broken_json_and_a_wrong_field_are_told_apart() {
        assert!(matches!(parse("{"), ApiError::MalformedJson(_)));
        assert!(matches!(parse("{\"sort\":\"green\"} x"), ApiError::MalformedJson(_)));
        assert!(matches!(parse("{\"sort\":5,"), ApiError::MalformedJson(_)));

        let ApiError::InvalidFields(fields) = parse("{\"sort\":5}") else { panic!() };
        assert_eq!((fields[0].field.as_str(), fields[0].code.as_str()), ("sort", "invalid"));

        assert_eq!(fields[0].detail, "expected a string");

        let ApiError::InvalidFields(fields) = parse("\"my password, expected\"") else { panic!() };
        assert_eq!(fields[0].detail, "expected struct Tea");

        let ApiError::InvalidFields(fields) = parse(" [\"green\"]") else { panic!() };
        assert_eq!(fields[0].detail, "expected an object");

        let ApiError::InvalidFields(fields) = parse("{}") else { panic!() };
        assert_eq!((fields[0].field.as_str(), fields[0].code.as_str()), ("sort", "required"));
    }
}
