//! Bringing conversations from elsewhere.

#[cfg(test)]
mod tests;

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt};
use repartee_domain::{
    ConversationId, FieldError, MessageId, UserId, Version,
    conversations::Conversation,
    messages::{Message, MessageRole, Writing},
    transfer::{Draft, Line, Transcript},
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{IMPORTS_OF_A_USER, TransferService};
use crate::{
    Actor, AppError, IdempotencyKey, Permission,
    idempotency::Making,
    ports::{Brought, IdGenerator, PortError},
};

/// Where the keys of imported conversations are used.
const KEY_ROUTE: &str = "conversations/import";

/// A conversation of a file, or what is wrong with it.
#[derive(Debug)]
pub struct Entry {
    /// As the file has it; `None` where it says none that can be read.
    pub title: Option<String>,
    pub draft: Result<Draft, FieldError>,
}

/// What came of a file. `index` is a conversation's place in it, beginning with 0.
#[derive(Debug, Default)]
pub struct Import {
    pub imported: Vec<Imported>,
    pub skipped: Vec<Skipped>,
}

/// For others to be through with theirs.
const PATIENCE: Duration = Duration::from_secs(30);
/// When one of a user's files may be through.
const RETRY_AFTER_AN_IMPORT: Duration = Duration::from_secs(5);

/// To hold a file in memory.
#[derive(Debug)]
pub struct Permit {
    _place: PlaceOfUser,
    _permit: OwnedSemaphorePermit,
}

/// One of the few that each user has, so that nobody keeps all of them.
#[derive(Debug)]
struct PlaceOfUser {
    user: UserId,
    importing: Arc<Mutex<Vec<UserId>>>,
}

impl PlaceOfUser {
    /// `None` where all are taken.
    fn take(importing: &Arc<Mutex<Vec<UserId>>>, user: UserId) -> Option<Self> {
        let mut users = importing.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = users.iter().filter(|other| **other == user).count();
        (taken < IMPORTS_OF_A_USER).then(|| {
            users.push(user);
            Self { user, importing: Arc::clone(importing) }
        })
    }
}

impl Drop for PlaceOfUser {
    fn drop(&mut self) {
        let mut users = self.importing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = users.iter().position(|user| *user == self.user) {
            users.swap_remove(at);
        }
    }
}

#[derive(Debug)]
pub struct Imported {
    pub index: usize,
    pub conversation: Conversation,
    pub messages: usize,
}

#[derive(Debug)]
pub struct Skipped {
    pub index: usize,
    pub title: Option<String>,
    pub error: FieldError,
}

impl TransferService {
    /// Waits until there is room for a file: before it is received.
    pub async fn begin_import(&self, actor: &Actor) -> Result<Permit, AppError> {
        actor.may(Permission::Import)?;
        let place = PlaceOfUser::take(&self.importing, actor.user);
        let place = place.ok_or(AppError::RateLimited { retry_after: RETRY_AFTER_AN_IMPORT })?;
        let permit = timeout(PATIENCE, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|late| PortError::Unavailable(late.into()))?;
        let permit = permit.map_err(|closed| PortError::Unavailable(closed.into()))?;
        Ok(Permit { _place: place, _permit: permit })
    }

    /// Stores the conversations of a file one after the other, each with all its messages in one
    /// commit; those that cannot be are skipped, and told. A request that is repeated with its key
    /// stores none twice, also where the first one was cut off in the middle.
    ///
    /// # Errors
    /// [`AppError::Invalid`] where none could be stored.
    pub async fn import(
        &self,
        actor: &Actor,
        _permit: Permit,
        file: impl Stream<Item = Entry>,
        key: Option<IdempotencyKey>,
    ) -> Result<Import, AppError> {
        actor.may(Permission::Import)?;
        let now = self.ports.clock.now();
        let mut import = Import::default();
        let mut good = 0;
        let mut file = pin!(file.enumerate());
        while let Some((index, Entry { title, draft })) = file.next().await {
            let stored = match draft.and_then(|draft| draft.into_transcript(now)) {
                Ok(transcript) => {
                    // By its place among the good ones: another file is found out at its first,
                    // before anything of it is stored.
                    let key = key.as_ref().map(|key| key.part(good));
                    good += 1;
                    self.store(actor.user, transcript, key, now).await?
                }
                Err(error) => Err(error),
            };
            match stored {
                Ok((conversation, messages)) => {
                    import.imported.push(Imported { index, conversation, messages });
                }
                Err(error) => import.skipped.push(Skipped { index, title, error }),
            }
        }
        if import.imported.is_empty() {
            return Err(AppError::Invalid(refusal(import.skipped)));
        }
        Ok(import)
    }

    /// One conversation, or why there is none.
    async fn store(
        &self,
        owner: UserId,
        transcript: Transcript,
        key: Option<IdempotencyKey>,
        now: DateTime<Utc>,
    ) -> Result<Result<(Conversation, usize), FieldError>, AppError> {
        let messages = transcript.lines.len();
        let making = Making::new(owner, KEY_ROUTE, key.as_ref(), now);
        let made = if let Some(made) = making.made_before(&*self.ports.keys).await? {
            made
        } else {
            let brought = brought(transcript, owner, &*self.ports.ids);
            let conversation = brought.conversation.clone();
            match self.ports.transfers.insert(brought, making.new_key(), now).await? {
                None => return Ok(Ok((conversation, messages))),
                Some(used) => making.made_by(used)?,
            }
        };
        let made = ConversationId::from_uuid(made).into();
        let found = self.ports.conversations.find(owner, made).await?;
        Ok(found.map(|conversation| (conversation, messages)).ok_or_else(|| {
            let detail = "was imported under this key before, and deleted since";
            FieldError::new("conversation", "already_done", detail)
        }))
    }
}

/// What is wrong with a file of which nothing could be stored.
fn refusal(skipped: Vec<Skipped>) -> Vec<FieldError> {
    /// An answer has an end, too.
    const MOST: usize = 100;
    if skipped.is_empty() {
        return vec![FieldError::new(".", "required", "must have a conversation")];
    }
    let is_one = skipped.len() == 1;
    let told = skipped.into_iter().take(MOST).map(|Skipped { index, error, .. }| {
        let place = if is_one { String::new() } else { format!("conversation {}: ", index + 1) };
        FieldError { detail: format!("{place}{}", error.detail), ..error }
    });
    told.collect()
}

fn brought(transcript: Transcript, owner: UserId, ids: &(dyn IdGenerator + 'static)) -> Brought {
    let Transcript { subject, status, created_at, updated_at, last_message_at, .. } = transcript;
    let conversation = Conversation {
        id: ConversationId::from_uuid(ids.id()),
        code: ids.code(),
        owner,
        subject,
        status,
        last_message_at,
        is_branched: transcript.is_branched,
        created_at,
        updated_at,
        version: Version::FIRST,
    };
    let is_branched = transcript.is_branched;
    let mut messages: Vec<Message> = Vec::with_capacity(transcript.lines.len());
    for line in transcript.lines {
        let Line { follows, role, content, status, model, at } = line;
        // In a conversation of one branch a question follows what was stored before it.
        let follows = follows.filter(|_| is_branched || role != MessageRole::User);
        let parent = follows.and_then(|place| messages.get(place)).map(|message| message.id);
        let id = MessageId::from_uuid(ids.id());
        let said = Message::said(id, ids.code(), conversation.id, parent, role, content, at);
        messages.push(Message { status, writing: model.map(Writing::elsewhere), ..said });
    }
    Brought { conversation, messages }
}
