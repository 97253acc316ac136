//! What an exported conversation looks like, and what came of importing some.

use std::{borrow::Cow, collections::HashMap};

use chrono::{DateTime, Utc};
use repartee_application::transfer::{Import, Imported, Skipped};
use repartee_domain::{
    FieldError, MessageId,
    conversations::{Conversation, ConversationChanges, ConversationStatus, UnknownStatus},
    messages::{Message, MessageStatus},
    transfer::{Draft, Node, Said},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bounded::{NODES, list};
use crate::{
    body::{nullable, object_text},
    time::{read_option, rfc3339_option},
};

/// What the files are known by.
pub(super) const FORMAT: &str = "repartee.conversation";
/// Raised when a reader of the one before would misunderstand a file.
pub(super) const VERSION: u32 = 1;

/// A conversation as a file.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "format": "repartee.conversation", "version": 1,
    "conversation": {"title": "Tea", "status": "active", "created_at": "2026-11-21T10:00:00Z"},
    "messages": [
        {"id": "1", "parent_id": null, "role": "user", "content": "Which tea keeps me awake?"},
        {"id": "2", "parent_id": "1", "role": "assistant", "content": "Green tea.", "model": "small"},
    ],
}))]
pub(crate) struct ConversationFileBody<'a> {
    #[serde(rename = "format")]
    #[schema(rename = "format", example = "repartee.conversation")]
    _format: String,
    #[schema(example = 1)]
    version: u32,
    conversation: FiledConversationBody,
    /// Each after the one that it follows; the last one ends the active branch.
    #[serde(deserialize_with = "list::<_, _, NODES>")]
    messages: Vec<FiledMessageBody<'a>>,
}

/// A conversation without what is said in it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct FiledConversationBody {
    /// Where it was exported. Imported, it gets another.
    #[serde(default, skip_deserializing)]
    #[schema(required = false)]
    id: Option<Uuid>,
    title: Option<String>,
    /// `active` (where it is left out), `ended` or `archived`.
    status: Option<String>,
    system_message: Option<String>,
    model: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<RawValue>>,
    #[serde(default, serialize_with = "rfc3339_option", deserialize_with = "read_option")]
    created_at: Option<DateTime<Utc>>,
    #[serde(default, serialize_with = "rfc3339_option", deserialize_with = "read_option")]
    updated_at: Option<DateTime<Utc>>,
    #[serde(default, serialize_with = "rfc3339_option", deserialize_with = "read_option")]
    ended_at: Option<DateTime<Utc>>,
}

/// A message in a file.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct FiledMessageBody<'a> {
    /// Anything that no other message of the file has.
    id: Option<String>,
    /// The message that it follows; null where it begins the conversation; left out, the one before.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    parent_id: Option<Option<String>>,
    /// `user`, `assistant` or `system`.
    role: Cow<'a, str>,
    content: Cow<'a, str>,
    /// `complete` (where it is left out), `cancelled`, `failed` or `interrupted`; exported while it
    /// is written, `streaming`.
    status: Option<Cow<'a, str>>,
    /// The model that wrote it.
    model: Option<Cow<'a, str>>,
    #[serde(default, serialize_with = "rfc3339_option", deserialize_with = "read_option")]
    created_at: Option<DateTime<Utc>>,
}

/// What came of an import.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportBody {
    data: Vec<ImportedBody>,
    skipped: Vec<SkippedBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ImportedBody {
    /// Its place in the file, beginning with 0.
    index: usize,
    id: Uuid,
    #[schema(example = "ABCDEFGHIJ01")]
    code: String,
    title: Option<String>,
    /// How many.
    messages: usize,
}

#[derive(Debug, Serialize, ToSchema)]
struct SkippedBody {
    /// Its place in the file, beginning with 0.
    index: usize,
    title: Option<String>,
    #[schema(example = "messages.content")]
    field: &'static str,
    #[schema(example = "too_long")]
    code: &'static str,
    detail: String,
}

impl From<Conversation> for FiledConversationBody {
    fn from(conversation: Conversation) -> Self {
        let subject = conversation.subject;
        Self {
            id: Some(conversation.id.as_uuid()),
            title: subject.title,
            status: Some(conversation.status.name().as_str().to_owned()),
            system_message: subject.system_message,
            model: subject.model,
            metadata: subject.metadata.and_then(|json| RawValue::from_string(json).ok()),
            created_at: Some(conversation.created_at),
            updated_at: Some(conversation.updated_at),
            ended_at: match conversation.status {
                ConversationStatus::Ended { at } => Some(at),
                ConversationStatus::Active | ConversationStatus::Archived => None,
            },
        }
    }
}

impl<'a> FiledMessageBody<'a> {
    pub(super) fn of(message: &'a Message, parent: Option<MessageId>) -> Self {
        let model = message.writing.as_ref().map(|writing| writing.model.as_str().into());
        Self {
            id: Some(message.id.to_string()),
            parent_id: Some(parent.map(|parent| parent.to_string())),
            role: message.role.as_str().into(),
            content: message.content.as_str().into(),
            status: Some(message.status.as_str().into()),
            model,
            created_at: Some(message.created_at),
        }
    }
}

impl TryFrom<ConversationFileBody<'_>> for Draft {
    type Error = FieldError;

    fn try_from(file: ConversationFileBody<'_>) -> Result<Self, FieldError> {
        let ConversationFileBody { version, conversation, messages, .. } = file;
        if version != VERSION {
            let detail = format!("this server reads version {VERSION}");
            return Err(FieldError::new("version", "unknown_format", detail));
        }
        let metadata = conversation.metadata.map(|json| metadata_text(&json)).transpose()?;
        let status = conversation.status.map(|status| status.parse()).transpose();
        let status = status.map_err(|error: UnknownStatus| {
            FieldError::new("status", "invalid", error.to_string())
        });
        Ok(Self {
            about: ConversationChanges {
                title: Some(conversation.title),
                system_message: Some(conversation.system_message),
                model: Some(conversation.model),
                metadata: Some(metadata),
                status: status?,
                ..ConversationChanges::default()
            },
            ended_at: conversation.ended_at,
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
            nodes: nodes(messages)?,
            open: None,
        })
    }
}

/// Taken apart only where it is short: what may be stored of it is checked later.
fn metadata_text(json: &RawValue) -> Result<String, FieldError> {
    const MOST: usize = 64 * 1024;
    let refused = |detail| FieldError::new("metadata", "invalid", detail);
    if json.get().len() > MOST {
        return Err(refused("is too long"));
    }
    let object: Map<String, Value> =
        serde_json::from_str(json.get()).map_err(|_| refused("must be an object"))?;
    object_text("metadata", object).map_err(|_| refused("must not contain the NUL character"))
}

fn nodes(messages: Vec<FiledMessageBody<'_>>) -> Result<Vec<Node>, FieldError> {
    let named = messages.iter().enumerate();
    let places: HashMap<_, _> =
        named.filter_map(|(place, message)| Some((message.id.clone()?, place))).collect();
    let node = |(place, message): (usize, FiledMessageBody<'_>)| {
        let FiledMessageBody { parent_id, role, content, status, model, created_at, .. } = message;
        let refused = |field, detail: &str| {
            FieldError::new(field, "invalid", format!("message {}: {detail}", place + 1))
        };
        let role = role
            .parse()
            .map_err(|_| refused("messages.role", "must be user, assistant or system"))?;
        let status = status.as_deref().unwrap_or(MessageStatus::Complete.as_str()).parse();
        let status = status.map_err(|_| refused("messages.status", "is no status of a message"))?;
        let parent = match parent_id {
            Some(parent) => parent.and_then(|parent| places.get(&parent).copied()),
            None => place.checked_sub(1),
        };
        let (content, model) = (content.into_owned(), model.map(Cow::into_owned));
        Ok(Node { parent, said: Some(Said { role, content, status, model, at: created_at }) })
    };
    messages.into_iter().enumerate().map(node).collect()
}

impl From<Import> for ImportBody {
    fn from(import: Import) -> Self {
        let imported = |Imported { index, conversation, messages }: Imported| ImportedBody {
            index,
            id: conversation.id.as_uuid(),
            code: conversation.code.to_string(),
            title: conversation.subject.title,
            messages,
        };
        let skipped = |Skipped { index, title, error }: Skipped| SkippedBody {
            index,
            title,
            field: error.field,
            code: error.code,
            detail: error.detail,
        };
        Self {
            data: import.imported.into_iter().map(imported).collect(),
            skipped: import.skipped.into_iter().map(skipped).collect(),
        }
    }
}
