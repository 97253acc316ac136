//! The events of one reply.

use std::sync::{Arc, Mutex};

use futures::{StreamExt, stream};
use repartee_application::ports::{EventStream, LoggedEvent};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::lock;

/// What an event takes in memory beside its bytes: itself, its counts and its place in the list.
const EVENT_OVERHEAD: usize = size_of::<LoggedEvent>() + 3 * size_of::<usize>();

#[derive(Default)]
pub(super) struct Entry {
    log: Mutex<Log>,
    /// Told after every event.
    grown: Notify,
    stop: CancellationToken,
}

#[derive(Default)]
struct Log {
    /// The event with the number n is at n - 1.
    events: Vec<Arc<LoggedEvent>>,
    has_ended: bool,
}

/// What a reader finds at its place.
enum Found {
    Event(Arc<LoggedEvent>),
    NothingYet,
    End,
}

impl Entry {
    pub(super) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Gives the bytes held when the event was the terminal one. Events after that are ignored,
    /// and so is one out of its turn, which would shift all numbers after it; the terminal one
    /// takes the next number.
    pub(super) fn append(&self, event: Arc<LoggedEvent>) -> Option<usize> {
        let ends = event.kind.is_terminal();
        let held = {
            let mut log = lock(&self.log);
            if log.has_ended {
                return None;
            }
            let next = log.events.len() as u64 + 1;
            if event.seq == next {
                log.events.push(event);
            } else if ends {
                // Who ended it elsewhere knew less of it than the readers here do.
                log.events.push(Arc::new(event.renumbered(next)));
            } else {
                tracing::error!(generation = %event.generation, seq = event.seq, next, "event out of turn");
            }
            log.has_ended = ends;
            ends.then(|| {
                log.events.shrink_to_fit();
                log.held_bytes()
            })
        };
        self.grown.notify_waiters();
        held
    }

    /// Reads by number, one lock per event, so that a slow reader holds nobody up.
    pub(super) fn read(self: Arc<Self>, after: u64) -> EventStream {
        stream::unfold((self, after), |(entry, after)| async move {
            loop {
                // Taken before looking: an event that is appended in between still wakes it.
                let grown = entry.grown.notified();
                match entry.find(after) {
                    Found::Event(event) => return Some((event, (entry.clone(), after + 1))),
                    Found::End => return None,
                    Found::NothingYet => grown.await,
                }
            }
        })
        .boxed()
    }

    fn find(&self, after: u64) -> Found {
        let log = lock(&self.log);
        let place = usize::try_from(after).unwrap_or(usize::MAX);
        match log.events.get(place) {
            Some(event) => Found::Event(Arc::clone(event)),
            None if log.has_ended => Found::End,
            None => Found::NothingYet,
        }
    }
}

impl Log {
    /// The bytes count twice: readers of one surface share a second copy in its framing.
    fn held_bytes(&self) -> usize {
        self.events.iter().map(|event| 2 * event.data.len() + EVENT_OVERHEAD).sum()
    }
}
