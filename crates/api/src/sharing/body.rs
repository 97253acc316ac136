//! What a shared link looks like on the wire, and what it shows.

use chrono::{DateTime, Utc};
use repartee_application::{
    ports::{SharedMessage, Snapshot},
    sharing::MadeLink,
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    cursor::ListBody,
    time::{rfc3339, rfc3339_option},
};

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ShareBody {
    /// 1 to 3650; left out: the link does not end by itself.
    #[schema(example = 30)]
    pub(super) expires_in_days: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SharedLinkBody {
    /// Shown this once.
    #[schema(example = "kC0jQ2nE7b1Zr1mYl8mJ0vVQXJ0t2oQw3p5yq7Hn3sA")]
    token: String,
    #[schema(
        example = "https://chat.example.com/api/v1/shared/kC0jQ2nE7b1Zr1mYl8mJ0vVQXJ0t2oQw3p5yq7Hn3sA"
    )]
    url: String,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339_option")]
    expires_at: Option<DateTime<Utc>>,
}

/// A conversation as it was when it was shared.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SharedBody {
    title: Option<String>,
    #[serde(serialize_with = "rfc3339")]
    shared_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339_option")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    messages: ListBody<SharedMessageBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SharedMessageBody {
    /// `user` or `assistant`.
    role: &'static str,
    content: String,
    /// The model that wrote it.
    model: Option<String>,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
}

impl SharedLinkBody {
    pub(super) fn of(link: MadeLink, base: &str) -> Self {
        let token = link.token.expose_secret().to_owned();
        Self {
            url: format!("{base}/api/v1/shared/{token}"),
            token,
            created_at: link.created_at,
            expires_at: link.expires_at,
        }
    }
}

impl From<Snapshot> for SharedBody {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            title: snapshot.title,
            shared_at: snapshot.shared_at,
            expires_at: snapshot.expires_at,
            messages: ListBody::of(snapshot.messages),
        }
    }
}

impl From<SharedMessage> for SharedMessageBody {
    fn from(message: SharedMessage) -> Self {
        Self {
            role: message.role.as_str(),
            content: message.content,
            model: message.model,
            created_at: message.created_at,
        }
    }
}
