//! Reading a reply, while it is written and afterwards.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use repartee_domain::{GenerationId, UserId, replies::GenerationState};
use tokio::time::sleep;

use super::{ReplyService, Shared};
use crate::{
    Actor, AppError, Permission,
    ports::{EventStream, LoggedEvent, PortError, StoredGeneration},
};

/// How often a reply that another process writes is looked up, where the log doesn't have it.
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
        actor.may(Permission::Read)?;
        let shared = &self.shared;
        let found = shared.ports.turns.find(actor.user, generation).await?;
        let stored = found.ok_or(AppError::GENERATION_NOT_FOUND)?;
        if stored.last_seq.is_some_and(|last| after >= last) {
            let end = if has_read_end { None } else { shared.end_again(&stored, after).await? };
            return Ok(end.map(|end| stream::iter([end]).boxed()));
        }
        Ok(Some(follow(Arc::clone(shared), actor.user, generation, after)))
    }
}

impl Shared {
    /// The end of a reply for a reader who has read more than what is stored of it, with their next
    /// number; `None` when there is nothing to tell.
    async fn end_again(
        &self,
        stored: &StoredGeneration,
        after: u64,
    ) -> Result<Option<Arc<LoggedEvent>>, PortError> {
        if stored.state != GenerationState::Interrupted {
            return Ok(None);
        }
        let end = self.end_of(stored).await?;
        Ok(end.map(|end| Arc::new(end.renumbered(after.saturating_add(1)))))
    }

    /// The terminal event as it is stored; `None` while the reply runs.
    pub(super) async fn end_of(
        &self,
        stored: &StoredGeneration,
    ) -> Result<Option<LoggedEvent>, PortError> {
        let Some(last) = stored.last_seq else { return Ok(None) };
        let before = last.saturating_sub(1);
        Ok(self.ports.turns.events_after(stored.generation.id, before).await?.pop())
    }
}

/// Where a reader is.
struct Reader {
    shared: Arc<Shared>,
    owner: UserId,
    generation: GenerationId,
    after: u64,
    reading: Reading,
}

enum Reading {
    /// The log is to be asked.
    Start,
    /// The log has it, here or on its way from the process that writes it.
    Log(EventStream),
    /// The log doesn't have it, or lost it: what is stored of it is read.
    Database(std::vec::IntoIter<Arc<LoggedEvent>>),
    End,
}

/// Reads a reply that is being written: from the log while it has it, from the database where it
/// hasn't. Whatever happens on the way, each event comes once, and the terminal one last.
pub(super) fn follow(
    shared: Arc<Shared>,
    owner: UserId,
    generation: GenerationId,
    after: u64,
) -> EventStream {
    let reader = Reader { shared, owner, generation, after, reading: Reading::Start };
    stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((event, reader))
    })
    .boxed()
}

impl Reader {
    async fn next(&mut self) -> Option<Arc<LoggedEvent>> {
        loop {
            let event = match &mut self.reading {
                Reading::Start => match self.open_log().await {
                    Some(events) => {
                        self.reading = Reading::Log(events);
                        continue;
                    }
                    None => None,
                },
                Reading::Log(events) => events.next().await,
                Reading::Database(events) => events.next(),
                Reading::End => return None,
            };
            if let Some(event) = event {
                self.after = event.seq;
                if event.kind.is_terminal() {
                    self.reading = Reading::End;
                }
                return Some(event);
            }
            let has_caught_up = matches!(self.reading, Reading::Database(_));
            self.reading = match self.stored().await {
                Ok(Some(events)) if events.is_empty() => Reading::End,
                Ok(Some(events)) => Reading::Database(events.into_iter()),
                // All that is stored was read: the log has the rest.
                Ok(None) if has_caught_up => Reading::Start,
                Ok(None) => {
                    sleep(POLL).await;
                    Reading::Start
                }
                Err(error) => {
                    // The reader may come back; what it has read so far, it has.
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot read events");
                    Reading::End
                }
            };
        }
    }

    async fn open_log(&mut self) -> Option<EventStream> {
        match self.shared.ports.log.subscribe(self.generation, self.after).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the log cannot be read: reading what is stored"
                );
                None
            }
        }
    }

    /// What is stored; `None` for nothing yet. Empty: the reply is read, or was deleted.
    async fn stored(&mut self) -> Result<Option<Vec<Arc<LoggedEvent>>>, PortError> {
        let turns = &self.shared.ports.turns;
        loop {
            let events = turns.events_after(self.generation, self.after).await?;
            if !events.is_empty() {
                return Ok(Some(events.into_iter().map(Arc::new).collect()));
            }
            match turns.find(self.owner, self.generation).await? {
                None => return Ok(Some(Vec::new())),
                Some(stored) if stored.last_seq.is_some_and(|last| self.after >= last) => {
                    let end = self.shared.end_again(&stored, self.after).await?;
                    return Ok(Some(end.into_iter().collect()));
                }
                // It ended meanwhile.
                Some(stored) if stored.last_seq.is_some() => {}
                Some(_) => return Ok(None),
            }
        }
    }
}
