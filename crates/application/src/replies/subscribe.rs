//! Reading a reply, while it is written and afterwards.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use repartee_domain::GenerationId;
use tokio::time::sleep;

use super::{ReplyService, Shared};
use crate::{
    Actor, AppError,
    ports::{EventStream, LoggedEvent},
};

/// How often a reply that another process writes is looked up.
const POLL: Duration = Duration::from_millis(250);

impl ReplyService {
    /// The events after the number `after`, those that are there and those to come. `None` when
    /// the reply is over and there are none.
    pub async fn subscribe(
        &self,
        actor: &Actor,
        generation: GenerationId,
        after: u64,
    ) -> Result<Option<EventStream>, AppError> {
        let shared = &self.shared;
        let found = shared.ports.turns.find(actor.user, generation).await?;
        let stored = found.ok_or(AppError::GENERATION_NOT_FOUND)?;
        if stored.last_seq.is_some_and(|last| after >= last) {
            return Ok(None);
        }
        if let Some(live) = shared.ports.log.subscribe(generation, after).await? {
            return Ok(Some(live));
        }
        if stored.last_seq.is_none() {
            return Ok(Some(poll(Arc::clone(shared), generation, after)));
        }
        let events = shared.ports.turns.events_after(generation, after).await?;
        Ok(Some(stream::iter(events.into_iter().map(Arc::new)).boxed()))
    }
}

/// Reads what another process stores of a reply that it writes.
fn poll(shared: Arc<Shared>, generation: GenerationId, after: u64) -> EventStream {
    stream::unfold(Some((shared, after)), move |state| async move {
        let (shared, after) = state?;
        loop {
            match shared.ports.turns.events_after(generation, after).await {
                Ok(events) if events.is_empty() => sleep(POLL).await,
                Ok(events) => {
                    let is_over = events.iter().any(|event| event.kind.is_terminal());
                    let last = events.last().map_or(after, |event: &LoggedEvent| event.seq);
                    let state = (!is_over).then_some((shared, last));
                    return Some((stream::iter(events.into_iter().map(Arc::new)), state));
                }
                Err(error) => {
                    // The reader may come back; what it has read so far, it has.
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot read events");
                    return None;
                }
            }
        }
    })
    .flatten()
    .boxed()
}
