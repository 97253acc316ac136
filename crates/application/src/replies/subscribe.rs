//! Reading a reply, while it is written and afterwards.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use repartee_domain::{GenerationId, UserId, replies::GenerationState};
use tokio::time::sleep;

use super::{ReplyService, Shared};
use crate::{
    Actor, AppError,
    ports::{EventStream, LoggedEvent, PortError, StoredGeneration},
};

/// How often a reply that another process writes is looked up.
const POLL: Duration = Duration::from_millis(250);

impl ReplyService {
    /// The events after the number `after`, those that are there and those to come. `None` when
    /// the reply is over and all of it was read.
    ///
    /// A reader may be ahead of what a crash left of a reply. It gets one `interrupted` with its
    /// next number, whose message replaces what it has; `has_read_end` says that it got that.
    pub async fn subscribe(
        &self,
        actor: &Actor,
        generation: GenerationId,
        after: u64,
        has_read_end: bool,
    ) -> Result<Option<EventStream>, AppError> {
        let shared = &self.shared;
        let found = shared.ports.turns.find(actor.user, generation).await?;
        let stored = found.ok_or(AppError::GENERATION_NOT_FOUND)?;
        if stored.last_seq.is_some() {
            let events = if has_read_end { None } else { shared.rest(&stored, after).await? };
            return Ok(events.map(|events| stream::iter(events).boxed()));
        }
        match shared.ports.log.subscribe(generation, after).await? {
            Some(live) => Ok(Some(live)),
            None => Ok(Some(poll(Arc::clone(shared), actor.user, generation, after))),
        }
    }
}

impl Shared {
    /// What there is of a reply that is over after the number `after`; `None` for nothing.
    async fn rest(
        &self,
        stored: &StoredGeneration,
        after: u64,
    ) -> Result<Option<Vec<Arc<LoggedEvent>>>, PortError> {
        let id = stored.generation.id;
        let last = stored.last_seq.unwrap_or_default();
        if after < last {
            if let Some(live) = self.ports.log.subscribe(id, after).await? {
                return Ok(Some(live.collect().await));
            }
            let events = self.ports.turns.events_after(id, after).await?;
            return Ok(Some(events.into_iter().map(Arc::new).collect()));
        }
        if stored.state != GenerationState::Interrupted {
            return Ok(None);
        }
        let end = self.ports.turns.events_after(id, last.saturating_sub(1)).await?.pop();
        Ok(end.map(|end| vec![Arc::new(end.renumbered(after.saturating_add(1)))]))
    }
}

/// Reads what another process stores of a reply that it writes.
fn poll(shared: Arc<Shared>, owner: UserId, generation: GenerationId, after: u64) -> EventStream {
    stream::unfold(Some((shared, after)), move |state| async move {
        let (shared, after) = state?;
        match next(&shared, owner, generation, after).await {
            Ok(events) => {
                let last = events.last()?;
                let state = (!last.kind.is_terminal()).then(|| (shared, last.seq));
                Some((stream::iter(events), state))
            }
            Err(error) => {
                // The reader may come back; what it has read so far, it has.
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot read events");
                None
            }
        }
    })
    .flatten()
    .boxed()
}

/// Waits for events after a number. Empty: the reply was deleted.
async fn next(
    shared: &Shared,
    owner: UserId,
    generation: GenerationId,
    after: u64,
) -> Result<Vec<Arc<LoggedEvent>>, PortError> {
    loop {
        let events = shared.ports.turns.events_after(generation, after).await?;
        if !events.is_empty() {
            return Ok(events.into_iter().map(Arc::new).collect());
        }
        match shared.ports.turns.find(owner, generation).await? {
            None => return Ok(Vec::new()),
            Some(stored) if stored.last_seq.is_some() => {
                return Ok(shared.rest(&stored, after).await?.unwrap_or_default());
            }
            Some(_) => sleep(POLL).await,
        }
    }
}
