//! Stopping a reply, and looking at one.

use std::time::Duration;

use futures::StreamExt;
use repartee_domain::{GenerationId, UserId};
use tokio::time::timeout;

use super::{GenerationStatus, ReplyService, subscribe::follow};
use crate::{Actor, AppError, Permission};

/// How long a caller waits to see the reply stopped. It stops in any case.
const PATIENCE: Duration = Duration::from_secs(5);

impl ReplyService {
    pub async fn find(
        &self,
        actor: &Actor,
        generation: GenerationId,
    ) -> Result<GenerationStatus, AppError> {
        actor.may(Permission::Read)?;
        let found = self.shared.ports.turns.find(actor.user, generation).await?;
        found.ok_or(AppError::GENERATION_NOT_FOUND)
    }

    /// Stops a reply, whichever process writes it, and keeps what was written. Stopping one that
    /// is over does nothing. Gives the generation as it is afterwards.
    pub async fn cancel(
        &self,
        actor: &Actor,
        generation: GenerationId,
    ) -> Result<GenerationStatus, AppError> {
        actor.may(Permission::Chat)?;
        let status = self.find(actor, generation).await?;
        if status.state.is_over() {
            return Ok(status);
        }
        self.stop_and_wait(actor.user, generation).await?;
        self.find(actor, generation).await
    }

    /// Stops a reply that is being written. Too slow an end is not an error.
    pub(crate) async fn stop_and_wait(
        &self,
        owner: UserId,
        generation: GenerationId,
    ) -> Result<(), AppError> {
        self.stop(generation).await?;
        let events = follow(self.shared.clone(), owner, generation, 0);
        let mut end = events.filter(|event| std::future::ready(event.kind.is_terminal())).boxed();
        let _ = timeout(PATIENCE, end.next()).await;
        Ok(())
    }

    /// Asks whoever writes a reply to stop.
    pub(crate) async fn stop(&self, generation: GenerationId) -> Result<(), AppError> {
        let ports = &self.shared.ports;
        if !ports.log.cancel(generation) {
            // Another process writes it, or this one is just about to: both look there.
            ports.turns.request_cancel(generation, ports.clock.now()).await?;
        }
        Ok(())
    }

    /// Stops the replies of this process that were asked to stop elsewhere.
    pub(super) async fn heed_cancel_requests(self) {
        if self.shared.running.is_empty() {
            return;
        }
        match self.shared.ports.turns.cancel_requests(self.shared.owner).await {
            Ok(requested) => {
                for generation in requested {
                    self.shared.ports.log.cancel(generation);
                }
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot see which replies were asked to stop"
            ),
        }
    }
}
