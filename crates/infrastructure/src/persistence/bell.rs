//! Wakes whoever watches a user's feed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use repartee_application::ports::Watched;
use repartee_domain::UserId;
use tokio::sync::{Notify, mpsc, watch};

/// Rings that wait for whoever hears them all.
const RINGS: usize = 1_024;

/// A bell for each user who is watched in this process. Cheap to clone: clones are the same.
#[derive(Clone, Default)]
pub struct Bell(Arc<Hub>);

#[derive(Default)]
struct Hub {
    state: Mutex<State>,
    /// Nobody is watched any more.
    deserted: Notify,
}

#[derive(Default)]
struct State {
    watched: HashMap<UserId, Owner>,
    listeners: Vec<mpsc::Sender<UserId>>,
    is_polled: bool,
}

#[derive(Default)]
struct Owner {
    changes: watch::Sender<()>,
    session_ends: watch::Sender<()>,
    watchers: usize,
}

/// Hears one user's bell until it is dropped.
pub(super) struct Watching {
    bell: Bell,
    owner: UserId,
    rung: watch::Receiver<()>,
}

/// The right to be the one task that asks the database for what other processes did.
pub(super) struct Polling {
    bell: Bell,
    is_over: bool,
}

impl Bell {
    /// Wakes this process's watchers of a user's changes, for one that another process stored.
    pub fn ring(&self, owner: UserId) {
        self.ring_for(owner, Watched::Changes);
    }

    /// The users whose changes this process stores from now on. Whoever lags behind misses some;
    /// those who watch learn of them from the database.
    pub fn rings(&self) -> mpsc::Receiver<UserId> {
        let (listener, rings) = mpsc::channel(RINGS);
        self.state().listeners.push(listener);
        rings
    }

    /// Rings for a change that this process stored.
    pub(super) fn announce(&self, owner: UserId, what: Watched) {
        self.ring_for(owner, what);
        self.state().listeners.retain(|listener| {
            !matches!(listener.try_send(owner), Err(mpsc::error::TrySendError::Closed(_)))
        });
    }

    /// The end of a login session is a change too.
    pub(super) fn ring_for(&self, owner: UserId, what: Watched) {
        let state = self.state();
        let Some(owner) = state.watched.get(&owner) else { return };
        owner.changes.send_replace(());
        if what == Watched::SessionEnds {
            owner.session_ends.send_replace(());
        }
    }

    pub(super) fn watch(&self, owner: UserId, what: Watched) -> Watching {
        let mut state = self.state();
        let entry = state.watched.entry(owner).or_default();
        entry.watchers += 1;
        let rung = match what {
            Watched::Changes => entry.changes.subscribe(),
            Watched::SessionEnds => entry.session_ends.subscribe(),
        };
        Watching { bell: self.clone(), owner, rung }
    }

    /// `None` where somebody polls already.
    pub(super) fn poll(&self) -> Option<Polling> {
        let was_polled = std::mem::replace(&mut self.state().is_polled, true);
        (!was_polled).then(|| Polling { bell: self.clone(), is_over: false })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    /// Waits for the next ring. Any number of them since the last one count as one.
    pub(super) async fn rung(&mut self) {
        if self.rung.changed().await.is_err() {
            // The bell is there for as long as somebody watches.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut state = self.bell.state();
        let Some(entry) = state.watched.get_mut(&self.owner) else { return };
        entry.watchers -= 1;
        if entry.watchers == 0 {
            state.watched.remove(&self.owner);
            if state.watched.is_empty() {
                self.bell.0.deserted.notify_waiters();
            }
        }
    }
}

impl Polling {
    /// Who is watched. `None`, and the right is given up, where nobody is.
    pub(super) fn watched(&mut self) -> Option<Vec<UserId>> {
        let mut state = self.bell.state();
        if state.watched.is_empty() {
            state.is_polled = false;
            self.is_over = true;
            return None;
        }
        Some(state.watched.keys().copied().collect())
    }

    pub(super) fn ring_for(&self, owner: UserId, what: Watched) {
        self.bell.ring_for(owner, what);
    }

    /// Waits until nobody watches, or a moment has passed.
    pub(super) async fn pause(&self, moment: Duration) {
        drop(tokio::time::timeout(moment, self.bell.0.deserted.notified()).await);
    }
}

impl Drop for Polling {
    /// Also where the task was dropped with its runtime: the next watcher starts another one.
    fn drop(&mut self) {
        if !self.is_over {
            self.bell.state().is_polled = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;

    const ADA: UserId = UserId::from_uuid(Uuid::from_u128(1));
    const BOB: UserId = UserId::from_uuid(Uuid::from_u128(2));

    #[test]
    fn a_ring_wakes_those_who_watch_that_user() {
        let bell = Bell::default();
        let (mut one, mut two, mut other) = (
            bell.watch(ADA, Watched::Changes),
            bell.watch(ADA, Watched::Changes),
            bell.watch(BOB, Watched::Changes),
        );

        bell.ring(ADA);
        bell.ring(ADA);

        assert!(one.rung().now_or_never().is_some());
        assert!(one.rung().now_or_never().is_none());
        assert!(two.rung().now_or_never().is_some());
        assert!(other.rung().now_or_never().is_none());
    }

    #[test]
    fn a_ring_before_somebody_watches_is_not_for_them() {
        let bell = Bell::default();
        let _first = bell.watch(ADA, Watched::Changes);
        bell.ring(ADA);

        assert!(bell.watch(ADA, Watched::Changes).rung().now_or_never().is_none());
    }

    #[test]
    fn nothing_is_left_of_those_who_stopped_watching() {
        let bell = Bell::default();
        let (one, two) = (bell.watch(ADA, Watched::Changes), bell.watch(ADA, Watched::Changes));
        drop(one);
        assert_eq!(bell.state().watched.len(), 1);
        drop(two);
        assert!(bell.state().watched.is_empty());
    }

    #[test]
    fn what_another_process_did_is_not_passed_on() {
        let bell = Bell::default();
        let mut rings = bell.rings();

        bell.ring(ADA);
        bell.announce(BOB, Watched::Changes);

        assert_eq!(rings.try_recv(), Ok(BOB));
        assert!(rings.try_recv().is_err());
    }

    #[test]
    fn whoever_does_not_listen_holds_nobody_up_and_is_forgotten() {
        let bell = Bell::default();
        let mut rings = bell.rings();
        for _ in 0..2 * RINGS {
            bell.announce(ADA, Watched::Changes);
        }

        assert_eq!(rings.try_recv(), Ok(ADA));
        assert_eq!(rings.len(), RINGS - 1);
        drop(rings);
        bell.announce(ADA, Watched::Changes);
        assert!(bell.state().listeners.is_empty());
    }

    #[test]
    fn who_waits_for_the_end_of_a_session_is_not_woken_for_less() {
        let bell = Bell::default();
        let mut ends = bell.watch(ADA, Watched::SessionEnds);
        let mut changes = bell.watch(ADA, Watched::Changes);

        bell.announce(ADA, Watched::Changes);
        assert!(ends.rung().now_or_never().is_none());
        assert!(changes.rung().now_or_never().is_some());

        bell.announce(ADA, Watched::SessionEnds);
        assert!(ends.rung().now_or_never().is_some());
        assert!(changes.rung().now_or_never().is_some());
    }

    #[test]
    fn one_polls_at_a_time_and_only_while_somebody_watches() {
        let bell = Bell::default();
        let watching = bell.watch(ADA, Watched::Changes);
        let mut polling = bell.poll().unwrap();
        assert!(bell.poll().is_none());
        assert_eq!(polling.watched(), Some(vec![ADA]));

        drop(watching);

        assert_eq!(polling.watched(), None);
        let next = bell.poll().unwrap();
        drop(polling);
        assert!(bell.poll().is_none());
        drop(next);
        assert!(bell.poll().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn polling_ends_with_the_last_watcher() {
        let bell = Bell::default();
        let watching = bell.watch(ADA, Watched::Changes);
        let polling = bell.poll().unwrap();
        let mut pause = Box::pin(polling.pause(Duration::from_hours(1)));
        assert!(pause.as_mut().now_or_never().is_none());

        drop(watching);

        assert!(pause.now_or_never().is_some());
    }
}
