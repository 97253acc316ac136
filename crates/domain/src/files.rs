//! Files of projects.

mod name;
mod sniffing;

use chrono::{DateTime, Utc};

pub use self::{name::FileName, sniffing::Sniffer};
use crate::{FileId, ObjectKey, ProjectId, UserId};

/// A file never changes: another upload is another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub id: FileId,
    pub project: ProjectId,
    /// Who uploaded it. It goes with them, and with the project.
    pub owner: UserId,
    pub content: Content,
    pub created_at: DateTime<Utc>,
}

/// What a file holds, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub name: FileName,
    /// As its bytes tell ([`Sniffer`]), never as somebody says.
    pub media_type: String,
    pub bytes: u64,
    pub sha256: [u8; 32],
    /// Where the bytes are.
    pub object: ObjectKey,
}
