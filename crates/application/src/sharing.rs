//! Links by which anyone reads a conversation as it was when the link was made.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use repartee_domain::{
    MessageId, audit::Action, conversations::Conversation, sharing::link_expiry,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Actor, AppError, IdempotencyKey, PageRequest, Permission,
    idempotency::Making,
    ports::{
        Clock, ConversationReference, ConversationRepository, IdGenerator, IdempotencyKeys,
        NewLink, PortError, SharedLinkRepository, Snapshot, TokenSigner,
    },
};

/// Where the keys of new links are used.
const KEY_ROUTE: &str = "conversations/share";

pub struct SharingService {
    ports: SharingPorts,
}

pub struct SharingPorts {
    pub links: Arc<dyn SharedLinkRepository>,
    pub conversations: Arc<dyn ConversationRepository>,
    pub keys: Arc<dyn IdempotencyKeys>,
    pub signer: Arc<dyn TokenSigner>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

/// A link as its owner sees it once.
#[derive(Debug)]
pub struct MadeLink {
    /// Stored nowhere.
    pub token: SecretString,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

impl SharingService {
    pub fn new(ports: SharingPorts) -> Self {
        Self { ports }
    }

    /// Makes a link to what the conversation is now. One that it had before opens nothing any more.
    ///
    /// # Errors
    /// [`AppError::AlreadyDone`] where the idempotency key was used for the same before: the token
    /// is known to nobody any more.
    pub async fn share(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        days: Option<u32>,
        key: Option<IdempotencyKey>,
    ) -> Result<MadeLink, AppError> {
        actor.may(Permission::Share)?;
        let now = self.ports.clock.now();
        let conversation = self.find(actor, conversation).await?;
        let key = key.map(|key| key.about(conversation.id.as_uuid()));
        let making = Making::new(actor.user, KEY_ROUTE, key.as_ref(), now);
        if making.made_before(&*self.ports.keys).await?.is_some() {
            return Err(AppError::AlreadyDone);
        }
        let expires_at = link_expiry(days, now).map_err(AppError::invalid)?;
        let token = SecretString::from(self.ports.ids.base64url());
        let link = NewLink {
            conversation: conversation.id,
            owner: actor.user,
            token: self.ports.signer.hash_secret(token.expose_secret()),
            created_at: now,
            expires_at,
        };
        let entry = actor.did(Action::ConversationShared, now).on("conversation", conversation.id);
        match self.ports.links.put(link, making.new_key(), entry).await {
            Ok(None) => Ok(MadeLink { token, created_at: now, expires_at }),
            Ok(Some(used)) => {
                making.made_by(used)?;
                Err(AppError::AlreadyDone)
            }
            // It was deleted meanwhile.
            Err(PortError::Stale) => Err(AppError::CONVERSATION_NOT_FOUND),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the link of a conversation: it opens nothing from now on.
    pub async fn unshare(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<(), AppError> {
        actor.may(Permission::Share)?;
        let id = self.find(actor, conversation).await?.id;
        let now = self.ports.clock.now();
        let entry = actor.did(Action::ConversationUnshared, now).on("conversation", id);
        if self.ports.links.remove(actor.user, id, entry).await? {
            Ok(())
        } else {
            Err(AppError::SHARED_LINK_NOT_FOUND)
        }
    }

    /// What a link shows, to whoever has it.
    pub async fn read(
        &self,
        token: &str,
        page: PageRequest<MessageId>,
    ) -> Result<Snapshot, AppError> {
        let token = self.ports.signer.hash_secret(token);
        let shown = self.ports.links.read(token, page, self.ports.clock.now()).await?;
        shown.ok_or(AppError::SHARED_LINK_NOT_FOUND)
    }

    async fn find(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<Conversation, AppError> {
        let found = self.ports.conversations.find(actor.user, conversation).await?;
        found.ok_or(AppError::CONVERSATION_NOT_FOUND)
    }
}
