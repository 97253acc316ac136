//! Stopping a reply, and looking at one.

use std::time::Duration;

use futures::StreamExt;
use repartee_domain::GenerationId;
use tokio::time::timeout;

use super::{GenerationStatus, ReplyService};
use crate::{Actor, AppError};

/// How long a caller waits to see the reply stopped. It stops in any case.
const PATIENCE: Duration = Duration::from_secs(5);

impl ReplyService {
    pub async fn find(
        &self,
        actor: &Actor,
        generation: GenerationId,
    ) -> Result<GenerationStatus, AppError> {
        let found = self.shared.ports.turns.find(actor.user, generation).await?;
        found.ok_or(AppError::GENERATION_NOT_FOUND)
    }

    /// Stops a reply and keeps what was written. Stopping one that is over does nothing. Gives
    /// the generation as it is afterwards.
    pub async fn cancel(
        &self,
        actor: &Actor,
        generation: GenerationId,
    ) -> Result<GenerationStatus, AppError> {
        let status = self.find(actor, generation).await?;
        if status.state.is_over() {
            return Ok(status);
        }
        let log = &self.shared.ports.log;
        let events = log.subscribe(generation, 0).await?;
        if !log.cancel(generation).await? {
            return Err(AppError::WrittenElsewhere);
        }
        if let Some(events) = events {
            let mut end = events.filter(|event| std::future::ready(event.kind.is_terminal()));
            // Too slow an end is not an error: the state below says so.
            let _ = timeout(PATIENCE, end.next()).await;
        }
        self.find(actor, generation).await
    }
}
