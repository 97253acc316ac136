//! What a client's frames say.

use std::borrow::Cow;

use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::value::RawValue;

use crate::{ApiError, body::parse_json, conversations::NewConversationBody};

#[derive(Debug)]
pub(super) enum Frame {
    StartConversation(Box<StartConversation>),
    SendMessage(SendMessage),
    EndConversation(EndConversation),
    Cancel(Cancel),
    Resume(Resume),
    Authenticate(Authenticate),
    Ping,
}

#[derive(Debug)]
pub(super) enum Unreadable {
    /// No frame at all, and why.
    Malformed(String),
    /// A frame with fields that are not what they should be.
    Invalid(ApiError),
}

#[derive(Debug)]
pub(super) struct StartConversation {
    pub(super) about: NewConversationBody,
    /// What a guest's client knows a conversation by.
    pub(super) session_id: Option<String>,
}

#[derive(Deserialize)]
struct SessionBody {
    session_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SendMessage {
    #[serde(default, deserialize_with = "id")]
    pub(super) conversation_id: Option<String>,
    pub(super) content: String,
    pub(super) model: Option<String>,
    pub(super) temperature: Option<f32>,
    pub(super) max_tokens: Option<u32>,
    pub(super) idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EndConversation {
    #[serde(default, deserialize_with = "id")]
    pub(super) conversation_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Cancel {
    #[serde(default, deserialize_with = "id")]
    pub(super) generation_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Resume {
    #[serde(default, deserialize_with = "id")]
    pub(super) generation_id: Option<String>,
    /// The number of the last event that was read; 0 for none.
    #[serde(default, deserialize_with = "number")]
    pub(super) after: u64,
    /// Whether that was the last of all. The number does not always say so: whoever is ahead of
    /// what a crash left of a reply gets its end under a higher number than it is stored with.
    #[serde(default)]
    pub(super) ended: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Authenticate {
    pub(super) token: SecretString,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Frame {
    pub(super) fn parse(text: &str) -> Result<Self, Unreadable> {
        let frame: Envelope<'_> = serde_json::from_str(text).map_err(|error| {
            Unreadable::Malformed(format!("send {{\"type\": …, \"data\": {{…}}}}: {error}"))
        })?;
        let data = frame.data.map_or("{}", RawValue::get);
        Ok(match frame.kind.as_ref() {
            "start_conversation" => {
                let SessionBody { session_id } = read(data)?;
                let about = read(data)?;
                Self::StartConversation(Box::new(StartConversation { about, session_id }))
            }
            "send_message" => Self::SendMessage(read(data)?),
            "end_conversation" => Self::EndConversation(read(data)?),
            "cancel" => Self::Cancel(read(data)?),
            "resume" => Self::Resume(read(data)?),
            "authenticate" => Self::Authenticate(read(data)?),
            "ping" => Self::Ping,
            kind => return Err(Unreadable::Malformed(format!("there is no frame {kind:?}"))),
        })
    }
}

pub(super) fn read<T: DeserializeOwned>(data: &str) -> Result<T, Unreadable> {
    if !data.trim_start().starts_with('{') {
        return Err(Unreadable::Malformed("an object must be sent".to_owned()));
    }
    parse_json(data.as_bytes()).map_err(Unreadable::Invalid)
}

/// A text or a number: clients of other backends have numbers for ids.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(i64),
    }
    let id: Option<Id> = Option::deserialize(deserializer)?;
    Ok(id.map(|id| match id {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    }))
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    id(deserializer)?.map_or(Ok(0), |text| text.parse().map_err(D::Error::custom))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_a_text_or_a_number() {
        for (id, expected) in [("\"7\"", Some("7")), ("7", Some("7")), ("null", None)] {
            let text = format!("{{\"type\":\"cancel\",\"data\":{{\"generation_id\":{id}}}}}");
            let Ok(Frame::Cancel(cancel)) = Frame::parse(&text) else { panic!("{text}") };
            assert_eq!(cancel.generation_id.as_deref(), expected);
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let text = "{\"type\":\"authenticate\",\"data\":{\"token\":\"a-secret\"}}";
        let shown = format!("{:?}", Frame::parse(text));
        assert!(shown.contains("Authenticate") && !shown.contains("a-secret"), "{shown}");
    }

    #[test]
    fn what_is_no_frame_and_what_has_wrong_fields_are_told_apart() {
        for text in ["", "x", "[]", "{}", "{\"type\":5}", "{\"type\":\"x\"}"] {
            assert!(matches!(Frame::parse(text), Err(Unreadable::Malformed(_))), "{text}");
        }
        let no_object = "{\"type\":\"cancel\",\"data\":5}";
        assert!(matches!(Frame::parse(no_object), Err(Unreadable::Malformed(_))));
        let no_content = "{\"type\":\"send_message\"}";
        assert!(matches!(Frame::parse(no_content), Err(Unreadable::Invalid(_))));
        assert!(matches!(Frame::parse("{\"type\":\"ping\",\"data\":null}"), Ok(Frame::Ping)));
    }
}
