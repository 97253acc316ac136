//! People without an account, each with one conversation that is known by a random id.
//!
//! A guest is a user whom nobody can log in as, made with the conversation and deleted with it: so
//! whatever holds for a user's conversation (limits, feeds, resuming, cancelling) holds for theirs.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use repartee_domain::{
    ConversationId, FieldError, Text, UserId,
    accounts::{Role, User},
    conversations::{Conversation, ConversationChanges, Subject},
};
use uuid::Uuid;

use crate::{
    Actor, AppError, Credential, Origin, Permission,
    accounts::Access,
    conversations::{check_shape, with_shape},
    ports::{
        Clock, ConversationRepository, GuestRepository, IdGenerator, PortError, SecretHash,
        ShapeRepository, TokenSigner,
    },
    replies::NewMessage,
};

/// Characters of a guest's system message.
const MAX_SYSTEM_MESSAGE: usize = 2_000;
/// A guest has no token that could run out; a socket does not last so long.
const ACCESS: TimeDelta = TimeDelta::days(365);

pub struct GuestService {
    ports: GuestPorts,
    rules: GuestRules,
}

pub struct GuestPorts {
    pub guests: Arc<dyn GuestRepository>,
    pub conversations: Arc<dyn ConversationRepository>,
    pub shapes: Arc<dyn ShapeRepository>,
    pub signer: Arc<dyn TokenSigner>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

#[derive(Debug, Clone, Copy)]
pub struct GuestRules {
    pub are_welcome: bool,
    /// How long a conversation is kept after its last message.
    pub kept: TimeDelta,
}

/// A guest in their conversation.
#[derive(Debug)]
pub struct Visit {
    /// Reaches that one conversation, and nothing else.
    pub actor: Actor,
    /// What the guest's client knows the conversation by: a secret, which is stored hashed.
    pub session: Uuid,
    pub conversation: Conversation,
}

impl GuestService {
    pub fn new(ports: GuestPorts, rules: GuestRules) -> Self {
        Self { ports, rules }
    }

    /// Somebody without a credential, who has nothing yet.
    ///
    /// # Errors
    /// [`AppError::Unauthenticated`] where guests aren't welcome.
    pub fn stranger(&self, origin: Origin) -> Result<Access, AppError> {
        if !self.rules.are_welcome {
            return Err(AppError::Unauthenticated);
        }
        let actor = guest(UserId::from_uuid(self.ports.ids.id()), origin);
        Ok(Access { actor, expires_at: expiry(self.ports.clock.now(), ACCESS) })
    }

    /// The conversation that is known by `session`, with the persona that `about` names, where it
    /// names one; where there is none, or it expired, one begins under that id, or under a new
    /// random one, with what `about` says of it. Nothing is begun or changed for a message that
    /// cannot be sent.
    pub async fn open(
        &self,
        stranger: &Actor,
        session: Option<Uuid>,
        about: ConversationChanges,
        first: Option<&NewMessage>,
    ) -> Result<Visit, AppError> {
        stranger.may(Permission::Chat)?;
        let session = match session {
            Some(session) => checked(session)?,
            None => self.random_session(),
        };
        let key = self.ports.signer.hash_secret(&session.to_string());
        let found = self.find(stranger, session, key).await?;
        if let Some(message) = first {
            message.check_whole()?;
        }
        if let Some(visit) = found {
            return self.shaped(visit, &about).await;
        }
        match self.begin(stranger, session, key, about).await {
            // Another request of the same guest was faster.
            Err(AppError::Port(PortError::Taken { .. })) => {
                let found = self.find(stranger, session, key).await?;
                found.ok_or(AppError::Port(PortError::Stale))
            }
            begun => begun,
        }
    }

    async fn find(
        &self,
        stranger: &Actor,
        session: Uuid,
        key: SecretHash,
    ) -> Result<Option<Visit>, AppError> {
        let found = self.ports.guests.find(key, self.ports.clock.now()).await?;
        Ok(found.map(|conversation| Visit {
            actor: guest(conversation.owner, stranger.origin.clone()),
            session,
            conversation,
        }))
    }

    async fn shaped(&self, visit: Visit, about: &ConversationChanges) -> Result<Visit, AppError> {
        let GuestPorts { conversations, shapes, clock, .. } = &self.ports;
        let conversation =
            with_shape(&**conversations, &**shapes, visit.conversation, about, clock.now()).await?;
        Ok(Visit { conversation, ..visit })
    }

    async fn begin(
        &self,
        stranger: &Actor,
        session: Uuid,
        key: SecretHash,
        about: ConversationChanges,
    ) -> Result<Visit, AppError> {
        if matches!(about.model, Some(Some(_))) {
            stranger.may_name_a_model()?;
        }
        let subject = subject(&about)?;
        let GuestPorts { guests, shapes, clock, ids, .. } = &self.ports;
        check_shape(&**shapes, stranger.user, subject.shape).await?;
        let now = clock.now();
        let user = User::guest(UserId::from_uuid(ids.id()), ids.code(), now);
        let actor = guest(user.id, stranger.origin.clone());
        let id = ConversationId::from_uuid(ids.id());
        let conversation = Conversation::begin(id, ids.code(), user.id, subject, now);
        let expires_at = expiry(now, self.rules.kept);
        guests.begin(user, conversation.clone(), key, expires_at).await?;
        Ok(Visit { actor, session, conversation })
    }

    /// A UUIDv4 (RFC 9562, 5.4).
    fn random_session(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.ports.ids.random()[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// When what was last used at `now` expires.
pub(crate) fn expiry(now: DateTime<Utc>, kept: TimeDelta) -> DateTime<Utc> {
    now.checked_add_signed(kept).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn guest(user: UserId, origin: Origin) -> Actor {
    Actor { user, role: Role::Guest, credential: Credential::Guest, origin }
}

/// Two clients that send what anybody would guess would read each other's conversation.
fn checked(session: Uuid) -> Result<Uuid, AppError> {
    if session.is_nil() || session.is_max() {
        let detail = "must be a random UUID";
        return Err(AppError::invalid(FieldError::new("session_id", "invalid", detail)));
    }
    Ok(session)
}

fn subject(about: &ConversationChanges) -> Result<Subject, AppError> {
    let subject = Subject::default().with(about).map_err(AppError::Invalid)?;
    if let Some(text) = subject.system_message.clone() {
        Text::parse(text, MAX_SYSTEM_MESSAGE)
            .map_err(|error| AppError::invalid(error.in_field("system_message")))?;
    }
    Ok(subject)
}

#[cfg(test)]
mod tests;
