//! Who is served when: first come, first served, so many at a time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use thiserror::Error;
use tokio::sync::watch;

use crate::lanes::Job;

/// Runs a job on some thread, or drops it. Must not run it within the call.
type Start = Box<dyn Fn(Job) + Send + Sync>;

/// The position of work that is being done.
const STARTED: u32 = 0;

pub(crate) struct Queue {
    shared: Arc<Shared>,
}

/// As many wait as may.
#[derive(Debug, Error)]
#[error("too many requests wait for the local model")]
pub(crate) struct QueueFull;

struct Shared {
    at_once: usize,
    limit: usize,
    start: Start,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    waiting: VecDeque<Waiting>,
    last_ticket: u64,
}

struct Waiting {
    ticket: u64,
    work: Job,
    position: watch::Sender<u32>,
}

impl Queue {
    /// `at_once` run side by side, `limit` more may wait.
    pub(crate) fn new(
        at_once: usize,
        limit: usize,
        start: impl Fn(Job) + Send + Sync + 'static,
    ) -> Self {
        let state = Mutex::default();
        Self { shared: Arc::new(Shared { at_once, limit, start: Box::new(start), state }) }
    }

    /// Queues `work`. It is dropped undone when the place is dropped before its turn.
    pub(crate) fn enter(&self, work: Job) -> Result<Place, QueueFull> {
        let mut state = self.shared.lock();
        if state.running >= self.shared.at_once && state.waiting.len() >= self.shared.limit {
            return Err(QueueFull);
        }
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        // No position is 0 but that of started work: the receiver sees a change either way.
        let (position, seen) = watch::channel(u32::MAX);
        state.waiting.push_back(Waiting { ticket, work, position });
        drop(state);
        self.shared.advance();
        Ok(Place { shared: Arc::clone(&self.shared), ticket, position: seen })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts what has its turn and tells the others where they are now.
    fn advance(self: &Arc<Self>) {
        let mut started = Vec::new();
        let mut state = self.lock();
        while state.running < self.at_once {
            let Some(next) = state.waiting.pop_front() else { break };
            state.running += 1;
            next.position.send_replace(STARTED);
            started.push(next.work);
        }
        for (position, waiting) in (1..).zip(&state.waiting) {
            waiting.position.send_if_modified(|seen| std::mem::replace(seen, position) != position);
        }
        drop(state);
        for work in started {
            let slot = Slot(Arc::clone(self));
            (self.start)(Box::new(move || {
                // Freed when the work ends, also by a panic, and when it is never run.
                let _slot = slot;
                work();
            }));
        }
    }
}

/// The right to run.
struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.advance();
    }
}

/// A place in the queue. Dropping it gives it up; work that has begun is not affected.
pub(crate) struct Place {
    shared: Arc<Shared>,
    ticket: u64,
    position: watch::Receiver<u32>,
}

impl Place {
    /// Waits for the position to change: 1 is next, `None` says that the work has begun.
    pub(crate) async fn moved(&mut self) -> Option<u32> {
        // The sender goes when the work begins.
        let _ = self.position.changed().await;
        Some(*self.position.borrow_and_update()).filter(|position| *position != STARTED)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let found = state.waiting.iter().position(|waiting| waiting.ticket == self.ticket);
        let given_up = found.and_then(|at| state.waiting.remove(at));
        drop(state);
        if given_up.is_some() {
            self.shared.advance();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// A queue whose started jobs run when the test says so.
    struct Fixture {
        queue: Queue,
        started: Arc<Mutex<VecDeque<Job>>>,
        done: Arc<Mutex<Vec<u32>>>,
    }

    impl Fixture {
        fn new(at_once: usize, limit: usize) -> Self {
            let started = Arc::new(Mutex::new(VecDeque::new()));
            let list = Arc::clone(&started);
            let queue = Queue::new(at_once, limit, move |job| list.lock().unwrap().push_back(job));
            Self { queue, started, done: Arc::default() }
        }

        fn enter(&self, name: u32) -> Result<Place, QueueFull> {
            let done = Arc::clone(&self.done);
            self.queue.enter(Box::new(move || done.lock().unwrap().push(name)))
        }

        fn run_next(&self) {
            let job = self.started.lock().unwrap().pop_front().unwrap();
            job();
        }

        fn done(&self) -> Vec<u32> {
            self.done.lock().unwrap().clone()
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    enum News {
        Nothing,
        Position(u32),
        Begun,
    }
    use News::{Begun, Nothing, Position};

    /// What the place has to tell at once.
    fn news(place: &mut Place) -> News {
        place.moved().now_or_never().map_or(Nothing, |moved| moved.map_or(Begun, Position))
    }

    #[test]
    fn the_first_to_come_is_the_first_served_and_all_are_told() {
        let fixture = Fixture::new(1, 9);
        let mut places: Vec<_> = (1..=3).map(|name| fixture.enter(name).unwrap()).collect();
        assert_eq!(news(&mut places[0]), Begun);
        assert_eq!(news(&mut places[1]), Position(1));
        assert_eq!(news(&mut places[2]), Position(2));
        assert_eq!(news(&mut places[2]), Nothing);

        fixture.run_next();

        assert_eq!(news(&mut places[1]), Begun);
        assert_eq!(news(&mut places[2]), Position(1));
        fixture.run_next();
        fixture.run_next();
        assert_eq!(fixture.done(), [1, 2, 3]);
    }

    #[test]
    fn no_more_than_allowed_run_at_once() {
        let fixture = Fixture::new(2, 9);
        let _places: Vec<_> = (1..=5).map(|name| fixture.enter(name).unwrap()).collect();

        assert_eq!(fixture.started.lock().unwrap().len(), 2);
        fixture.run_next();
        assert_eq!(fixture.started.lock().unwrap().len(), 2);
    }

    #[test]
    fn who_gives_up_lets_the_others_move_up() {
        let fixture = Fixture::new(1, 9);
        let mut places: Vec<_> = (1..=3).map(|name| fixture.enter(name).unwrap()).collect();
        assert_eq!(news(&mut places[2]), Position(2));

        drop(places.remove(1));

        assert_eq!(news(&mut places[1]), Position(1));
        fixture.run_next();
        fixture.run_next();
        assert_eq!(fixture.done(), [1, 3]);
        assert!(fixture.started.lock().unwrap().is_empty());
    }

    #[test]
    fn a_full_queue_refuses_until_somebody_leaves() {
        let fixture = Fixture::new(1, 1);
        let _running = fixture.enter(1).unwrap();
        let waiting = fixture.enter(2).unwrap();
        assert!(fixture.enter(3).is_err());

        drop(waiting);

        assert!(fixture.enter(4).is_ok());
    }

    #[test]
    fn work_that_is_never_run_frees_its_slot() {
        let queue = Queue::new(1, 9, drop);

        let mut first = queue.enter(Box::new(|| {})).unwrap();
        let mut second = queue.enter(Box::new(|| {})).unwrap();

        assert_eq!(news(&mut first), Begun);
        assert_eq!(news(&mut second), Begun);
    }
}
