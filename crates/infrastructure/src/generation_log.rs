//! The live events of replies, in the memory of this process.

mod entry;
mod finished;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use repartee_application::ports::{Clock, EventStream, GenerationLog, LoggedEvent, PortError};
use repartee_domain::GenerationId;
use tokio_util::sync::CancellationToken;

pub(crate) use self::entry::Entry;
use self::{entry::Appended, finished::Finished};

/// How much of the replies that are over stays in memory. Those being written always do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// All of them together.
    pub bytes: usize,
    /// Since the reply ended.
    pub time: TimeDelta,
}

impl Default for Retention {
    /// 32 MiB and 10 minutes.
    fn default() -> Self {
        Self { bytes: 32 << 20, time: TimeDelta::minutes(10) }
    }
}

/// What became of an event.
pub(crate) enum Recorded {
    /// As readers here get it.
    Logged(Arc<LoggedEvent>),
    Ignored,
    /// The reply isn't held here.
    NotHere,
}

/// Keeps each reply's events in one list that any number of readers walk at their own pace.
pub struct LocalGenerationLog {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    entries: HashMap<GenerationId, Arc<Entry>>,
    finished: Finished,
}

impl LocalGenerationLog {
    /// Empty. What is over is let go when the next reply begins, ends or is asked for.
    pub fn new(clock: Arc<dyn Clock>, retention: Retention) -> Self {
        let state = State { entries: HashMap::new(), finished: Finished::new(retention) };
        Self { clock, state: Mutex::new(state) }
    }

    pub(crate) fn record(&self, event: Arc<LoggedEvent>) -> Recorded {
        let generation = event.generation;
        let stored_as = event.seq;
        let Some(entry) = self.entry(generation) else { return Recorded::NotHere };
        let Some(Appended { event, held }) = entry.append(event) else { return Recorded::Ignored };
        match held {
            // What is stored is another story than these readers were told: who comes later is
            // told that one.
            Some(_) if event.seq != stored_as => self.forget(generation),
            Some(bytes) => self.finish(generation, bytes),
            None => {}
        }
        Recorded::Logged(event)
    }

    fn entry(&self, generation: GenerationId) -> Option<Arc<Entry>> {
        lock(&self.state).entries.get(&generation).cloned()
    }

    /// The state without what is too old or too much. The clock is read before the lock is taken.
    fn tidied(&self) -> MutexGuard<'_, State> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.tidy(now);
        state
    }

    fn forget(&self, generation: GenerationId) {
        lock(&self.state).entries.remove(&generation);
    }

    fn finish(&self, generation: GenerationId, bytes: usize) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.finished.add(generation, bytes, now);
        state.tidy(now);
    }
}

impl State {
    fn tidy(&mut self, now: DateTime<Utc>) {
        while let Some(evicted) = self.finished.evict(now) {
            self.entries.remove(&evicted);
        }
    }
}

#[async_trait]
impl GenerationLog for LocalGenerationLog {
    fn open(&self, generation: GenerationId) -> CancellationToken {
        self.tidied().entries.entry(generation).or_default().stop_token()
    }

    fn append(&self, event: Arc<LoggedEvent>) {
        self.record(event);
    }

    fn stored(&self, generation: GenerationId, seq: u64) {
        if let Some(entry) = self.entry(generation) {
            entry.stored(seq);
        }
    }

    async fn subscribe(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Option<EventStream>, PortError> {
        let entry = self.tidied().entries.get(&generation).cloned();
        Ok(entry.map(|entry| entry.read(after)))
    }

    fn cancel(&self, generation: GenerationId) -> bool {
        let entry = self.entry(generation);
        if let Some(entry) = &entry {
            entry.stop_token().cancel();
        }
        entry.is_some()
    }

    /// Nothing: what this process wrote went away with it.
    async fn left_behind(
        &self,
        _generation: GenerationId,
        _after: u64,
    ) -> Result<Vec<Arc<LoggedEvent>>, PortError> {
        Ok(Vec::new())
    }
}

/// A thread that panicked under one of these locks left nothing half done: each holds for one
/// push or one look.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
