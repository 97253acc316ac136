//! A conversation as ChatGPT's `conversations.json` has it.
//!
//! Taken over is what users and the assistant said to each other. Left out, with what follows kept:
//! system messages, what is hidden there, what goes to tools and comes from them, and thoughts.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use repartee_domain::{
    conversations::ConversationChanges,
    messages::{MessageRole, MessageStatus},
    transfer::{Draft, Node, Said},
};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

use super::bounded::{NODES, PARTS, entries, list};

/// Longer titles are cut: there, there is no end to them.
const MAX_TITLE: usize = 200;

#[derive(Deserialize)]
pub(super) struct ChatGptBody {
    title: Option<String>,
    create_time: Option<f64>,
    update_time: Option<f64>,
    /// In the order of the file: of nodes without a time it is all that is known.
    #[serde(deserialize_with = "entries::<_, _, NODES>")]
    mapping: Vec<(String, NodeBody)>,
    current_node: Option<String>,
}

#[derive(Deserialize)]
struct NodeBody {
    message: Option<MessageBody>,
    parent: Option<String>,
}

#[derive(Deserialize)]
struct MessageBody {
    author: AuthorBody,
    create_time: Option<f64>,
    content: Option<ContentBody>,
    /// `all`, or the tool that it is for.
    recipient: Option<String>,
    #[serde(default)]
    metadata: Option<MetadataBody>,
}

#[derive(Deserialize)]
struct AuthorBody {
    role: String,
}

#[derive(Deserialize)]
struct ContentBody {
    #[serde(default, deserialize_with = "list::<_, _, PARTS>")]
    parts: Vec<PartBody>,
    text: Option<String>,
}

/// A text, an object, or something else, which says nothing and is not kept.
enum PartBody {
    Text(String),
    Other(OtherBody),
    Unknown,
}

#[derive(Deserialize)]
struct OtherBody {
    content_type: Option<String>,
    text: Option<String>,
}

impl<'de> Deserialize<'de> for PartBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match raw.as_bytes().first() {
            Some(b'"') => Self::Text(serde_json::from_str(raw).map_err(D::Error::custom)?),
            Some(b'{') => serde_json::from_str(raw).map_or(Self::Unknown, Self::Other),
            _ => Self::Unknown,
        })
    }
}

#[derive(Deserialize, Default)]
struct MetadataBody {
    is_visually_hidden_from_conversation: Option<bool>,
    model_slug: Option<String>,
}

impl From<ChatGptBody> for Draft {
    fn from(body: ChatGptBody) -> Self {
        let ChatGptBody { title, create_time, update_time, mut mapping, current_node } = body;
        let at = |node: &NodeBody| node.message.as_ref().and_then(MessageBody::at);
        mapping.sort_by_key(|(_, node)| at(node));
        let places: HashMap<_, _> =
            mapping.iter().enumerate().map(|(place, (id, _))| (id.clone(), place)).collect();
        let place = |id: Option<String>| id.and_then(|id| places.get(&id).copied());
        let title = title.map(|title| title.chars().take(MAX_TITLE).collect());
        Self {
            about: ConversationChanges { title: Some(title), ..ConversationChanges::default() },
            created_at: create_time.and_then(instant),
            updated_at: update_time.and_then(instant),
            open: place(current_node),
            nodes: mapping
                .into_iter()
                .map(|(_, node)| Node {
                    parent: place(node.parent),
                    said: node.message.and_then(MessageBody::said),
                })
                .collect(),
            ..Self::default()
        }
    }
}

impl MessageBody {
    fn at(&self) -> Option<DateTime<Utc>> {
        self.create_time.and_then(instant)
    }

    /// `None` for what is no part of the conversation.
    fn said(self) -> Option<Said> {
        let at = self.at();
        let role = match &*self.author.role {
            "user" => MessageRole::User,
            "assistant" => MessageRole::Assistant,
            _ => return None,
        };
        let metadata = self.metadata.unwrap_or_default();
        let is_hidden = metadata.is_visually_hidden_from_conversation == Some(true);
        let is_for_a_tool = self.recipient.is_some_and(|recipient| recipient != "all");
        if is_hidden || is_for_a_tool {
            return None;
        }
        let content = self.content?.into_text();
        let status = MessageStatus::Complete;
        let said = Said { role, content, status, model: metadata.model_slug, at };
        Some(said).filter(|said| !said.content.trim().is_empty())
    }
}

impl ContentBody {
    fn into_text(self) -> String {
        let texts = self.parts.into_iter().map(PartBody::into_text).chain(self.text);
        texts.collect::<Vec<_>>().join("\n")
    }
}

impl PartBody {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Other(OtherBody { text: Some(text), .. }) => text,
            Self::Other(OtherBody { content_type, text: None }) => {
                let kind = content_type.unwrap_or_default();
                let kinds = ["image", "audio", "video"];
                let kind = kinds.into_iter().find(|known| kind.contains(known));
                format!("[{}]", kind.unwrap_or("attachment"))
            }
            Self::Unknown => String::new(),
        }
    }
}

/// Of seconds since 1970, to the microsecond.
fn instant(seconds: f64) -> Option<DateTime<Utc>> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    DateTime::from_timestamp_micros(i64::try_from(since.as_micros()).ok()?)
}
