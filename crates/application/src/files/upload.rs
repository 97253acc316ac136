//! Uploading: the bytes are kept first, and then there is a file.

use chrono::TimeDelta;
use futures::{StreamExt, TryStreamExt};
use repartee_domain::{
    FieldError, FileId, ObjectKey, ProjectId,
    files::{Content, File, FileName, Sniffer},
    projects::ProjectDeed,
};
use sha2::{Digest, Sha256};

use super::{FileService, MOST};
use crate::{
    Actor, AppError, IdempotencyKey, Permission,
    idempotency::Making,
    ports::{ByteStream, Made, NewFile, PortError},
    projects::member,
};

/// Where the keys of new files are used.
const KEY_ROUTE: &str = "files";
/// Longer than an upload may take. What nothing was made of by then is deleted.
const RESERVED: TimeDelta = TimeDelta::hours(1);

impl FileService {
    /// Whether the caller may upload something, before the first byte is taken.
    pub async fn may_upload(&self, actor: &Actor, project: ProjectId) -> Result<(), AppError> {
        actor.may(Permission::EditFiles)?;
        member(&*self.ports.projects, actor, project, ProjectDeed::Edit).await.map(drop)
    }

    /// Makes a file of bytes that arrive. Where the key was used for the same bytes under the same
    /// name before, that one is given again.
    ///
    /// # Errors
    /// [`AppError::AlreadyDone`] where it was deleted since. Where the bytes end in an error, that is
    /// the error's source.
    pub async fn upload(
        &self,
        actor: &Actor,
        project: ProjectId,
        name: FileName,
        bytes: ByteStream<'_>,
        key: Option<IdempotencyKey>,
    ) -> Result<File, AppError> {
        self.may_upload(actor, project).await?;
        let object = ObjectKey::from_uuid(self.ports.ids.id());
        let reserved_until = self.ports.clock.now() + RESERVED;
        self.ports.ledger.reserve(object, reserved_until).await?;
        let made = async {
            let content = self.keep(object, name, bytes).await?;
            // They may have been let out of the project meanwhile.
            self.may_upload(actor, project).await?;
            let (owner, now) = (actor.user, self.ports.clock.now());
            let key = key.map(|key| key.about(project.as_uuid()).with(&content.sha256));
            let making = Making::new(owner, KEY_ROUTE, key.as_ref(), now);
            let file = NewFile { project, owner, content, reserved_until, now };
            self.make(file, making).await
        };
        let made = made.await;
        if !made.as_ref().is_ok_and(|file| file.content.object == object) {
            self.let_go(object).await;
        }
        made
    }

    async fn keep(
        &self,
        object: ObjectKey,
        name: FileName,
        bytes: ByteStream<'_>,
    ) -> Result<Content, AppError> {
        let (mut sniffer, mut hash, mut count) = (Sniffer::default(), Sha256::new(), 0);
        let bytes = bytes.inspect_ok(|piece| {
            sniffer.feed(piece);
            hash.update(piece);
            count += piece.len() as u64;
        });
        self.ports.objects.put(object, bytes.boxed()).await?;
        if count == 0 {
            let empty = FieldError::new("file", "required", "must not be empty");
            return Err(AppError::invalid(empty));
        }
        let media_type = sniffer.media_type(&name).to_owned();
        Ok(Content { name, media_type, bytes: count, sha256: hash.finalize().into(), object })
    }

    async fn make(&self, file: NewFile, making: Making<'_>) -> Result<File, AppError> {
        let made = match self.ports.files.insert(file, MOST, making.new_key()).await {
            Err(PortError::Stale) => return Err(AppError::PROJECT_NOT_FOUND),
            made => made?.ok_or(AppError::TooMany("files"))?,
        };
        match made {
            Made::Now(file) => Ok(file),
            Made::Before(used) => {
                let id = FileId::from_uuid(making.made_by(used)?);
                self.ports.files.find(id).await?.ok_or(AppError::AlreadyDone)
            }
        }
    }

    /// Where that fails, the object goes when its reservation ends.
    async fn let_go(&self, object: ObjectKey) {
        if let Err(error) = self.ports.ledger.release(object, self.ports.clock.now()).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "an object that nobody needs stays for an hour");
        }
    }
}
