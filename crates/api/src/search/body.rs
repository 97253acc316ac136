//! What was found, on the wire.

use chrono::{DateTime, Utc};
use repartee_application::ports::{Hit, SearchKey};
use repartee_domain::search::Piece;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{cursor::Cursor, time::rfc3339};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HitBody {
    /// `message`, or `conversation` where its title was found.
    #[serde(rename = "type")]
    #[schema(example = "message")]
    kind: &'static str,
    conversation_id: Uuid,
    /// 12 characters; takes the place of the id in paths.
    conversation_code: String,
    conversation_title: Option<String>,
    /// Of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    message_id: Option<Uuid>,
    /// Of a message: `user`, `assistant` or `system`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "assistant")]
    role: Option<&'static str>,
    /// Compares with the others of the same answer, and with nothing else.
    #[schema(example = 2.7)]
    score: f64,
    /// The part of the text that has most of what was looked for, about 200 characters.
    #[schema(example = json!([{"text": "A cup of ", "match": false}, {"text": "green", "match": true}]))]
    snippet: Vec<PieceBody>,
    /// When the message was said, or the conversation begun.
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PieceBody {
    text: String,
    #[serde(rename = "match")]
    is_match: bool,
}

impl From<Hit> for HitBody {
    fn from(hit: Hit) -> Self {
        let (message, role) = hit.message.unzip();
        Self {
            kind: if message.is_some() { "message" } else { "conversation" },
            conversation_id: hit.conversation.as_uuid(),
            conversation_code: hit.conversation_code.to_string(),
            conversation_title: hit.conversation_title,
            message_id: message.map(repartee_domain::MessageId::as_uuid),
            role: role.map(repartee_domain::messages::MessageRole::as_str),
            score: hit.key.score,
            snippet: hit.snippet.into_iter().map(Into::into).collect(),
            created_at: hit.created_at,
        }
    }
}

impl From<Piece> for PieceBody {
    fn from(piece: Piece) -> Self {
        Self { text: piece.text, is_match: piece.is_match }
    }
}

impl Cursor for SearchKey {
    fn to_bytes(&self) -> Vec<u8> {
        [self.score.to_be_bytes(), self.document.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (score, document) = bytes.split_first_chunk::<8>()?;
        let score = f64::from_be_bytes(*score);
        let document = i64::from_be_bytes(document.try_into().ok()?);
        score.is_finite().then_some(Self { score, document })
    }
}
