//! How a socket words what it tells.

use bytes::Bytes;
use uuid::Uuid;

use super::{ask::About, following::Next, frames, plain};
use crate::ApiError;

/// Which frames a socket speaks.
pub(super) enum Dialect {
    /// `{"type", "data"}`, for several conversations.
    Native,
    /// Those of `/api/chat/stream`: one reply after the other.
    Plain(Session),
}

/// Where a socket of `/api/chat/stream` is.
#[derive(Default)]
pub(super) struct Session {
    /// The last that was chatted in.
    pub(super) id: Option<Uuid>,
    pub(super) persona: Option<i64>,
}

impl Dialect {
    pub(super) fn refusal(&self, error: &ApiError, about: About) -> Bytes {
        match self {
            Self::Native => frames::refusal(error, about),
            Self::Plain(_) => plain::refusal(error),
        }
    }

    /// Something that went wrong, by itself.
    pub(super) fn trouble(
        &self,
        code: &'static str,
        detail: impl Into<String>,
        about: About,
    ) -> Bytes {
        match self {
            Self::Native => frames::trouble(code, detail, about),
            Self::Plain(_) => plain::trouble(code, detail),
        }
    }

    pub(super) fn token_expired(&self) -> Bytes {
        match self {
            Self::Native => frames::token_expired(),
            Self::Plain(_) => plain::trouble("token_expired", "open another socket"),
        }
    }

    /// What comes of a reply; `None` for what this dialect doesn't tell.
    pub(super) fn told(&self, next: &Next) -> Option<Bytes> {
        let Some(event) = &next.event else {
            let about = About {
                conversation: Some(next.conversation.to_string()),
                generation: Some(next.generation.to_string()),
            };
            let detail = "the reply cannot be read on for now: resume it";
            return Some(self.trouble("stream_ended", detail, about));
        };
        match self {
            Self::Native => Some(frames::event(event, next.conversation)),
            Self::Plain(session) => {
                plain::event(event, session.id.unwrap_or_default(), session.persona)
            }
        }
    }
}
