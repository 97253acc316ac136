//! Turns that are asked for again.

use futures::{StreamExt, stream};

use super::{Begun, ReplyService, Shared};
use crate::{
    Actor, AppError, IdempotencyKey,
    ports::{Done, UsedKey},
};

/// Where the keys of turns are used.
pub(crate) const ROUTE: &str = "turns";

impl Shared {
    /// The turn that was begun under a key before, where there is one.
    pub(super) async fn begun_before(
        &self,
        service: &ReplyService,
        actor: &Actor,
        key: &IdempotencyKey,
    ) -> Result<Option<Begun>, AppError> {
        let now = self.ports.clock.now();
        match self.ports.keys.find(actor.user, ROUTE, key.as_str(), now).await? {
            Some(used) => service.again(actor, key, used).await.map(Some),
            None => Ok(None),
        }
    }
}

impl ReplyService {
    /// The turn of a used key, from its first event, as if it had just been begun: while it is
    /// written, and afterwards.
    pub(super) async fn again(
        &self,
        actor: &Actor,
        key: &IdempotencyKey,
        used: UsedKey,
    ) -> Result<Begun, AppError> {
        let Done::Turn(generation) = used.done else { return Err(AppError::KeyReused) };
        if used.fingerprint != key.fingerprint() {
            return Err(AppError::KeyReused);
        }
        let status = self.find(actor, generation).await?;
        let question = status.generation.user_message;
        let question = self.shared.ports.messages.find(actor.user, question).await?;
        let question = question.ok_or(AppError::CONVERSATION_NOT_FOUND)?;
        let events = self.subscribe(actor, generation, 0, false).await?;
        let events = events.unwrap_or_else(|| stream::empty().boxed());
        Ok(Begun { question, generation: status.generation, events })
    }
}
