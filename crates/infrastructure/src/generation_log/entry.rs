//! The events of one reply.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use futures::{StreamExt, stream};
use repartee_application::ports::{Envelope, EventStream, LoggedEvent};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::lock;

/// The newest events, which are kept although they are stored: most readers are near the end.
const TAIL: u64 = 256;
/// What an event takes in memory beside its bytes: itself, its counts and its place in the list.
const EVENT_OVERHEAD: usize = size_of::<LoggedEvent>() + 3 * size_of::<usize>();

#[derive(Default)]
pub(crate) struct Entry {
    log: Mutex<Log>,
    /// Told after every event.
    grown: Notify,
    stop: CancellationToken,
}

#[derive(Default)]
struct Log {
    /// The events up to this number are not kept any more.
    forgotten: u64,
    /// Those after it, in order.
    events: VecDeque<Arc<LoggedEvent>>,
    has_ended: bool,
}

/// An event that a log took.
pub(crate) struct Appended {
    /// As readers get it.
    pub(crate) event: Arc<LoggedEvent>,
    /// What the whole reply takes, in bytes, when the event was the terminal one.
    pub(crate) held: Option<usize>,
}

/// What a reader finds at its place.
enum Found {
    Event(Arc<LoggedEvent>),
    NothingYet,
    End,
}

impl Entry {
    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// `None` for what was ignored: events after the terminal one, and one out of its turn, which
    /// would shift all numbers after it. The terminal one takes the next number.
    pub(crate) fn append(&self, event: Arc<LoggedEvent>) -> Option<Appended> {
        let ends = event.kind.is_terminal();
        let appended = {
            let mut log = lock(&self.log);
            let next = log.last() + 1;
            if log.has_ended {
                return None;
            }
            let event = if event.seq == next {
                event
            } else if ends {
                // Who ended it elsewhere knew less of it than the readers here do.
                Arc::new(event.renumbered(next))
            } else {
                tracing::error!(generation = %event.generation, seq = event.seq, next, "event out of turn");
                return None;
            };
            log.events.push_back(Arc::clone(&event));
            log.has_ended = ends;
            let held = ends.then(|| {
                log.events.shrink_to_fit();
                log.held_bytes()
            });
            Appended { event, held }
        };
        self.grown.notify_waiters();
        Some(appended)
    }

    /// The number of the newest event; 0 for none.
    pub(crate) fn last(&self) -> u64 {
        lock(&self.log).last()
    }

    /// Lets go of what is stored but for the newest: who is further behind reads it there.
    pub(crate) fn stored(&self, seq: u64) {
        let mut log = lock(&self.log);
        let until = seq.min(log.last().saturating_sub(TAIL));
        while log.forgotten < until && log.events.pop_front().is_some() {
            log.forgotten += 1;
        }
    }

    /// Ends the reading where the log is, without a terminal event.
    pub(crate) fn break_off(&self) {
        lock(&self.log).has_ended = true;
        self.grown.notify_waiters();
    }

    /// Reads by number, one lock per event, so that a slow reader holds nobody up.
    pub(crate) fn read(self: Arc<Self>, after: u64) -> EventStream {
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
        let Some(place) = after.checked_sub(log.forgotten) else { return Found::End };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        match log.events.get(place) {
            Some(event) => Found::Event(Arc::clone(event)),
            None if log.has_ended => Found::End,
            None => Found::NothingYet,
        }
    }
}

impl Log {
    fn last(&self) -> u64 {
        self.forgotten + self.events.len() as u64
    }

    /// The bytes count once by themselves and once in each envelope, which all readers of a surface
    /// share.
    fn held_bytes(&self) -> usize {
        let copies = 1 + Envelope::COUNT;
        self.events.iter().map(|event| copies * event.data.len() + EVENT_OVERHEAD).sum()
    }
}
