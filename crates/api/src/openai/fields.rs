//! Fields that are passed through: whether a provider could take them, and what they are.

use serde_json::{Value, json, value::RawValue};
use utoipa::openapi::schema::{ArrayBuilder, Object, OneOfBuilder, Schema, Type};

use crate::{ApiError, body::parse_json};

/// A value as it came.
pub(crate) type Raw = Option<Box<RawValue>>;

pub(crate) fn text_or_texts() -> Schema {
    let texts = ArrayBuilder::new().items(Object::with_type(Type::String));
    let text = OneOfBuilder::new().item(Object::with_type(Type::String));
    Schema::OneOf(text.item(texts).item(null()).build())
}

pub(crate) fn text_or_object() -> Schema {
    let text = OneOfBuilder::new().item(Object::with_type(Type::String));
    Schema::OneOf(text.item(Object::with_type(Type::Object)).item(null()).build())
}

fn null() -> Object {
    Object::with_type(Type::Null)
}

/// The fields that say something, as they came.
pub(crate) fn fields<const N: usize>(
    fields: [(&'static str, Raw); N],
) -> Result<Vec<(&'static str, String)>, ApiError> {
    let mut passed = Vec::new();
    for (name, raw) in fields {
        let Some(raw) = raw else { continue };
        let value: Value = parse_json(raw.get().as_bytes())?;
        if let Some(expected) = what_it_is_not(name, &value) {
            return Err(ApiError::invalid(name, "invalid", format!("must be {expected}")));
        }
        if says_something(name, &value) {
            passed.push((name, raw.get().to_owned()));
        }
    }
    Ok(passed)
}

/// What a field should have been: a provider would refuse it, and not so soon.
fn what_it_is_not(name: &str, value: &Value) -> Option<&'static str> {
    let is_list_of =
        |is: fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(is));
    let (is_right, expected) = match name {
        "top_p" | "presence_penalty" | "frequency_penalty" => (value.is_number(), "a number"),
        // Looked at already.
        "input" => (true, ""),
        "dimensions" => (value.as_u64().is_some_and(|size| size > 0), "a whole number above 0"),
        "seed" => (value.is_i64() || value.is_u64(), "a whole number"),
        "user" | "reasoning_effort" | "encoding_format" => (value.is_string(), "a text"),
        "parallel_tool_calls" => (value.is_boolean(), "true or false"),
        "stop" => (value.is_string() || is_list_of(Value::is_string), "a text or a list of texts"),
        "tools" => (is_list_of(Value::is_object), "a list of objects"),
        "tool_choice" => (value.is_string() || value.is_object(), "a text or an object"),
        _ => (value.is_object(), "an object"),
    };
    (!is_right).then_some(expected)
}

/// What holds anyway need not be said: a model that cannot be told otherwise takes it.
fn says_something(name: &str, value: &Value) -> bool {
    match name {
        "top_p" => value.as_f64() != Some(1.0),
        "presence_penalty" | "frequency_penalty" => value.as_f64() != Some(0.0),
        "response_format" => *value != json!({"type": "text"}),
        _ => true,
    }
}
