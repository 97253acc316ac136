//! What files look like on the wire.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use repartee_domain::files::File;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::rfc3339;

/// For the document alone: a file is taken as it arrives.
#[derive(ToSchema)]
pub(crate) struct FileForm {
    /// One file, with its name.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    #[expect(dead_code, reason = "it is documentation")]
    file: Vec<u8>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FileBody {
    #[schema(example = 7)]
    id: i64,
    project_id: i64,
    /// As it was called, without folders.
    #[schema(example = "green tea.pdf")]
    name: String,
    /// As its bytes tell.
    #[schema(example = "application/pdf")]
    content_type: String,
    #[schema(example = 52_133)]
    bytes: u64,
    /// In hexadecimal.
    #[schema(example = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    sha256: String,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    /// Who uploaded it.
    created_by: Uuid,
}

impl From<File> for FileBody {
    fn from(file: File) -> Self {
        Self {
            id: file.id.get(),
            project_id: file.project.get(),
            name: file.content.name.as_str().to_owned(),
            content_type: file.content.media_type,
            bytes: file.content.bytes,
            sha256: hexadecimal(&file.content.sha256),
            created_at: file.created_at,
            created_by: file.owner.as_uuid(),
        }
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
