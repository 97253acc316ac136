//! What the audit log looks like on the wire.

use chrono::{DateTime, Utc};
use repartee_application::{
    audit::{Fault, Head, Verification},
    ports::{AuditKey, RecordedEntry},
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    cursor::Cursor,
    time::{self, rfc3339},
};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntryBody {
    id: i64,
    #[serde(serialize_with = "rfc3339")]
    at: DateTime<Utc>,
    /// `user`, `system` (the server itself, or who runs its commands) or `nobody` that is known.
    #[schema(example = "user")]
    actor: String,
    user_id: Option<Uuid>,
    #[schema(example = "login")]
    action: String,
    /// What it was done to.
    resource: Option<ResourceBody>,
    /// `success`, `failure` or `denied`.
    #[schema(example = "success")]
    outcome: String,
    #[schema(value_type = Object)]
    details: Option<Box<RawValue>>,
    ip_address: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    /// Its place in the chain; null for about a second, until it is sealed.
    position: Option<u64>,
    /// SHA-256, in hexadecimal, of the entry, its place and the hash before.
    hash: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResourceBody {
    #[serde(rename = "type")]
    #[schema(example = "login_session")]
    kind: String,
    id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerificationBody {
    /// Whether every entry is as it was written, where it was written, and none is missing.
    intact: bool,
    /// How many entries hold.
    entries: u64,
    /// The hash of the last of them; null where there is none.
    head: Option<String>,
    /// Daily anchors that were compared with it.
    anchors: u64,
    /// The first place where it does not hold.
    fault: Option<FaultBody>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FaultBody {
    position: u64,
    /// `missing`, `unlinked`, `altered`, `unreadable`, `unanchored` or `cut`.
    #[schema(example = "altered")]
    code: &'static str,
    #[schema(example = "the entry is not what was sealed: it was edited")]
    detail: String,
}

impl From<RecordedEntry> for AuditEntryBody {
    fn from(entry: RecordedEntry) -> Self {
        let (position, hash) = entry.sealed.unzip();
        Self {
            id: entry.key.id,
            at: entry.key.at,
            actor: entry.actor,
            user_id: entry.user.map(repartee_domain::UserId::as_uuid),
            action: entry.action,
            resource: entry.resource.map(|kind| ResourceBody { kind, id: entry.resource_id }),
            outcome: entry.outcome,
            details: RawValue::from_string(entry.details).ok(),
            ip_address: entry.personal.ip_address,
            user_agent: entry.personal.user_agent,
            request_id: entry.request_id,
            position,
            hash: hash.map(|hash| hash.to_string()),
        }
    }
}

impl From<Verification> for VerificationBody {
    fn from(found: Verification) -> Self {
        let head = Some(found.head).filter(|head| *head != Head::START);
        Self {
            intact: found.fault.is_none(),
            entries: found.head.position,
            head: head.map(|head| head.hash.to_string()),
            anchors: found.anchors,
            fault: found.fault.map(|Fault { position, kind }| FaultBody {
                position,
                code: kind.code(),
                detail: kind.to_string(),
            }),
        }
    }
}

impl Cursor for AuditKey {
    fn to_bytes(&self) -> Vec<u8> {
        [self.at.timestamp_micros().to_be_bytes(), self.id.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at, id) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            at: time::from_micros(i64::from_be_bytes(*at))?,
            id: i64::from_be_bytes(id.try_into().ok()?),
        })
    }
}
