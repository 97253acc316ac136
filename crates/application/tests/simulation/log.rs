//! Logs of several replicas, with and without something that they share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use repartee_application::ports::{EventStream, GenerationLog, LoggedEvent, PortError};
use repartee_domain::GenerationId;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::pace::Pace;

/// What is kept although it is stored.
const TAIL: usize = 2;
/// Who was told nothing for so long asks elsewhere: what the replicas share may have lost the rest.
const SILENCE: Duration = Duration::from_secs(5);

/// The events of one reply.
#[derive(Clone)]
struct Entry(watch::Sender<Vec<Arc<LoggedEvent>>>, Arc<AtomicUsize>);

impl Default for Entry {
    fn default() -> Self {
        Self(watch::Sender::new(Vec::new()), Arc::default())
    }
}

/// What replicas share, if they share anything. It may lose everything at any time.
#[derive(Default)]
pub(crate) struct Hub {
    entries: Mutex<HashMap<GenerationId, Entry>>,
    pub(crate) is_away: Mutex<bool>,
}

/// One replica's log.
pub(crate) struct SimulatedLog {
    own: Mutex<HashMap<GenerationId, (Entry, CancellationToken)>>,
    hub: Option<Arc<Hub>>,
    pace: Pace,
}

impl Entry {
    fn append(&self, event: Arc<LoggedEvent>, takes_any_end: bool) {
        self.0.send_if_modified(|events| {
            let has_ended = events.last().is_some_and(|last| last.kind.is_terminal());
            let next = events.len() as u64 + 1;
            let is_next = event.seq == next;
            let is_end = event.kind.is_terminal() && takes_any_end;
            if has_ended || !(is_next || is_end) {
                return false;
            }
            events.push(if is_next { event } else { Arc::new(event.renumbered(next)) });
            true
        });
    }

    /// Whoever is behind this place has to read elsewhere.
    fn forget(&self, stored: u64) {
        let tail = self.0.borrow().len().saturating_sub(TAIL);
        self.1.fetch_max(tail.min(usize::try_from(stored).unwrap()), Relaxed);
    }

    /// Ends with the terminal event, or where the entry was dropped, or where nothing comes for so
    /// long.
    fn read(&self, after: u64, patience: Duration) -> EventStream {
        let start = (self.0.subscribe(), usize::try_from(after).unwrap(), false);
        let forgotten = self.1.clone();
        stream::unfold(start, move |(mut events, at, is_over)| {
            let forgotten = forgotten.clone();
            async move {
                if is_over || at < forgotten.load(Relaxed) {
                    return None;
                }
                let event = {
                    let has_ended = |e: &Vec<Arc<LoggedEvent>>| {
                        e.last().is_some_and(|last| last.kind.is_terminal())
                    };
                    let grown = events.wait_for(|e| e.len() > at || has_ended(e));
                    let events = timeout(patience, grown).await.ok()?.ok()?;
                    events.get(at).cloned()?
                };
                let is_over = event.kind.is_terminal();
                Some((event, (events, at + 1, is_over)))
            }
        })
        .boxed()
    }
}

impl Hub {
    fn append(&self, event: Arc<LoggedEvent>) {
        if *self.is_away.lock().unwrap() {
            return;
        }
        let generation = event.generation;
        let mut entries = self.entries.lock().unwrap();
        entries.entry(generation).or_default().append(event, false);
    }

    /// Forgets everything; whoever reads is cut off.
    pub(crate) fn lose(&self) {
        self.entries.lock().unwrap().clear();
    }
}

impl SimulatedLog {
    pub(crate) fn new(hub: Option<Arc<Hub>>, pace: Pace) -> Self {
        Self { own: Mutex::default(), hub, pace }
    }
}

#[async_trait]
impl GenerationLog for SimulatedLog {
    fn open(&self, generation: GenerationId) -> CancellationToken {
        self.own.lock().unwrap().entry(generation).or_default().1.clone()
    }

    fn append(&self, event: Arc<LoggedEvent>) {
        if let Some((entry, _)) = self.own.lock().unwrap().get(&event.generation) {
            entry.append(event.clone(), true);
        }
        if let Some(hub) = &self.hub {
            hub.append(event);
        }
    }

    fn stored(&self, generation: GenerationId, seq: u64) {
        if let Some((entry, _)) = self.own.lock().unwrap().get(&generation) {
            entry.forget(seq);
        }
    }

    async fn subscribe(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Option<EventStream>, PortError> {
        self.pace.pause().await;
        if let Some((entry, _)) = self.own.lock().unwrap().get(&generation) {
            return Ok(Some(entry.read(after, Duration::MAX)));
        }
        let Some(hub) = &self.hub else { return Ok(None) };
        if *hub.is_away.lock().unwrap() {
            return Err(PortError::Unavailable("away".into()));
        }
        let entries = hub.entries.lock().unwrap();
        // What lost its beginning is not to be read.
        let entry = entries.get(&generation).filter(|entry| !entry.0.borrow().is_empty());
        Ok(entry.map(|entry| entry.read(after, SILENCE)))
    }

    fn cancel(&self, generation: GenerationId) -> bool {
        let own = self.own.lock().unwrap();
        let Some((_, token)) = own.get(&generation) else { return false };
        token.cancel();
        true
    }

    async fn left_behind(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Vec<Arc<LoggedEvent>>, PortError> {
        self.pace.pause().await;
        let Some(hub) = &self.hub else { return Ok(Vec::new()) };
        let entries = hub.entries.lock().unwrap();
        let Some(entry) = entries.get(&generation) else { return Ok(Vec::new()) };
        let events = entry.0.borrow();
        let left = events.iter().filter(|event| event.seq > after && !event.kind.is_terminal());
        Ok(left.cloned().collect())
    }
}
