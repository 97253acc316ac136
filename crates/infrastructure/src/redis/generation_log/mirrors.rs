//! The replies of other processes that somebody here reads.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use repartee_application::ports::LoggedEvent;
use repartee_domain::GenerationId;
use tokio::time::Instant;

use crate::generation_log::{Entry, lock};

/// The mirrors belong to their readers: one that nobody reads is gone.
#[derive(Default)]
pub(super) struct Mirrors(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whether the streams are being read.
    is_open: bool,
    by_generation: HashMap<GenerationId, Mirror>,
}

struct Mirror {
    entry: Weak<Entry>,
    /// Since when there was nothing new.
    quiet_since: Instant,
}

/// What somebody who wants to read a reply finds.
pub(super) enum Joined {
    Known(Arc<Entry>),
    /// Nobody has looked yet whether there is such a stream.
    New(Arc<Entry>),
    /// Redis is away.
    Away,
}

impl Mirrors {
    pub(super) fn open(&self) {
        lock(&self.0).is_open = true;
    }

    /// Ends all reading, and lets no more begin.
    pub(super) fn close(&self) {
        let mut state = lock(&self.0);
        state.is_open = false;
        for (_, mirror) in state.by_generation.drain() {
            mirror.break_off();
        }
    }

    pub(super) fn join(&self, generation: GenerationId) -> Joined {
        let mut state = lock(&self.0);
        if !state.is_open {
            return Joined::Away;
        }
        let known = state.by_generation.get(&generation);
        if let Some(entry) = known.and_then(|mirror| mirror.entry.upgrade()) {
            return Joined::Known(entry);
        }
        let entry = Arc::<Entry>::default();
        let mirror = Mirror { entry: Arc::downgrade(&entry), quiet_since: Instant::now() };
        state.by_generation.insert(generation, mirror);
        Joined::New(entry)
    }

    /// Ends the reading of a reply without a terminal event: the readers go to the database.
    pub(super) fn end(&self, generation: GenerationId) {
        if let Some(mirror) = lock(&self.0).by_generation.remove(&generation) {
            mirror.break_off();
        }
    }

    /// What is read, and the last number of each.
    pub(super) fn places(&self) -> Vec<(GenerationId, u64)> {
        let mut state = lock(&self.0);
        let mut places = Vec::with_capacity(state.by_generation.len());
        state.by_generation.retain(|generation, mirror| {
            let Some(entry) = mirror.entry.upgrade() else { return false };
            places.push((*generation, entry.last()));
            true
        });
        places
    }

    /// What there was nothing new of for so long.
    pub(super) fn quiet_for(&self, time: Duration) -> Vec<GenerationId> {
        let state = lock(&self.0);
        let quiet = state.by_generation.iter().filter(|(_, m)| m.quiet_since.elapsed() >= time);
        quiet.map(|(generation, _)| *generation).collect()
    }

    /// Takes what was read of a reply. Numbers are never changed: where one is missing, or an event
    /// cannot be read, the reading ends.
    pub(super) fn take(
        &self,
        generation: GenerationId,
        events: impl Iterator<Item = Option<LoggedEvent>>,
    ) {
        let mut state = lock(&self.0);
        let Some(mirror) = state.by_generation.get_mut(&generation) else { return };
        let Some(entry) = mirror.entry.upgrade() else { return };
        mirror.quiet_since = Instant::now();
        for event in events {
            let Some(event) = event.filter(|event| event.seq == entry.last() + 1) else {
                entry.break_off();
                state.by_generation.remove(&generation);
                return;
            };
            let ends = event.kind.is_terminal();
            entry.append(Arc::new(event));
            if ends {
                state.by_generation.remove(&generation);
                return;
            }
        }
        // Whoever told it here stores it besides.
        entry.stored(entry.last());
    }
}

impl Mirror {
    fn break_off(&self) {
        if let Some(entry) = self.entry.upgrade() {
            entry.break_off();
        }
    }
}
