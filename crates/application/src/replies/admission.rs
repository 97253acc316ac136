//! How many replies are written at once, and who waits for whom.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use repartee_domain::UserId;
use tokio::sync::watch;

/// May be written now.
const ADMITTED: u32 = 0;

/// Lets so many replies be written at once; the others wait. Those who wait take turns by user, so
/// that nobody waits for all of what another one asked before.
#[derive(Clone)]
pub(super) struct Admission {
    queue: Arc<Mutex<Queue>>,
}

struct Queue {
    most: usize,
    admitted: usize,
    next_id: u64,
    /// The users who wait, in the order of their turns.
    turns: VecDeque<UserId>,
    waiting: HashMap<UserId, VecDeque<Waiting>>,
}

struct Waiting {
    id: u64,
    position: watch::Sender<u32>,
}

/// A reply's place: in the queue, or among those being written. Dropping it gives it up.
pub(crate) struct Place {
    admission: Admission,
    user: UserId,
    id: u64,
    position: watch::Receiver<u32>,
}

impl Admission {
    pub(super) fn new(most: usize) -> Self {
        let queue = Queue {
            most: most.max(1),
            admitted: 0,
            next_id: 0,
            turns: VecDeque::new(),
            waiting: HashMap::new(),
        };
        Self { queue: Arc::new(Mutex::new(queue)) }
    }

    pub(super) fn enter(&self, user: UserId) -> Place {
        let mut queue = self.lock();
        queue.next_id += 1;
        let id = queue.next_id;
        let (sender, position) = watch::channel(u32::MAX);
        let line = queue.waiting.entry(user).or_default();
        line.push_back(Waiting { id, position: sender });
        if line.len() == 1 {
            queue.turns.push_back(user);
        }
        queue.advance();
        Place { admission: self.clone(), user, id, position }
    }

    /// No code that holds the lock can panic in the middle of a change.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Admits whoever there is room for, and tells the others where they stand.
    fn advance(&mut self) {
        while self.admitted < self.most {
            let Some(user) = self.turns.pop_front() else { break };
            let Some(line) = self.waiting.get_mut(&user) else { continue };
            if let Some(first) = line.pop_front() {
                self.admitted += 1;
                first.position.send_replace(ADMITTED);
            }
            if line.is_empty() {
                self.waiting.remove(&user);
            } else {
                self.turns.push_back(user);
            }
        }
        self.tell_positions();
    }

    /// Round by round: the first of every user, the second of every user …
    fn tell_positions(&self) {
        let mut position = ADMITTED;
        for round in 0.. {
            let before = position;
            for user in &self.turns {
                let Some(waiting) = self.waiting.get(user).and_then(|line| line.get(round)) else {
                    continue;
                };
                position += 1;
                waiting
                    .position
                    .send_if_modified(|told| std::mem::replace(told, position) != position);
            }
            if position == before {
                return;
            }
        }
    }

    fn leave(&mut self, user: UserId, id: u64) {
        let Some(line) = self.waiting.get_mut(&user) else { return };
        line.retain(|waiting| waiting.id != id);
        if line.is_empty() {
            self.waiting.remove(&user);
            self.turns.retain(|waiting| *waiting != user);
        }
    }
}

impl Place {
    /// How many go before it, and it; `None` once it was admitted.
    pub(super) fn position(&mut self) -> Option<u32> {
        let position = *self.position.borrow_and_update();
        (position != ADMITTED).then_some(position)
    }

    /// Resolves when the position is another than the one that was looked at last. Cancel-safe.
    pub(super) async fn moved(&mut self) {
        // Who was admitted is not told anything more.
        let _ = self.position.changed().await;
    }

    /// Resolves when it is its turn. Cancel-safe.
    pub(super) async fn admitted(&self) {
        let _ = self.position.clone().wait_for(|position| *position == ADMITTED).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queue = self.admission.lock();
        if *self.position.borrow() == ADMITTED {
            queue.admitted = queue.admitted.saturating_sub(1);
        } else {
            queue.leave(self.user, self.id);
        }
        queue.advance();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;

    const ADA: UserId = UserId::from_uuid(Uuid::from_u128(1));
    const BOB: UserId = UserId::from_uuid(Uuid::from_u128(2));

    fn positions<'a>(places: impl IntoIterator<Item = &'a mut Place>) -> Vec<Option<u32>> {
        places.into_iter().map(Place::position).collect()
    }

    #[test]
    fn who_fits_goes_at_once_and_the_others_know_where_they_stand() {
        let admission = Admission::new(2);
        let mut places: Vec<_> = (0..4).map(|_| admission.enter(ADA)).collect();
        assert_eq!(positions(&mut places), [None, None, Some(1), Some(2)]);
    }

    #[test]
    fn users_take_turns() {
        let admission = Admission::new(1);
        let first = admission.enter(ADA);
        let mut places = [ADA, ADA, ADA, BOB, BOB].map(|user| admission.enter(user));
        assert_eq!(positions(&mut places), [1, 3, 5, 2, 4].map(Some));

        drop(first);
        assert_eq!(positions(&mut places), [None, Some(2), Some(4), Some(1), Some(3)]);
    }

    #[test]
    fn who_gives_up_makes_room() {
        let admission = Admission::new(1);
        let first = admission.enter(ADA);
        let second = admission.enter(BOB);
        let mut third = admission.enter(ADA);
        assert_eq!(third.position(), Some(2));

        drop(second);
        assert!(third.moved().now_or_never().is_some());
        assert_eq!(third.position(), Some(1));

        drop(first);
        assert!(third.moved().now_or_never().is_some());
        assert_eq!(third.position(), None);
    }

    #[test]
    fn room_is_never_given_twice() {
        let admission = Admission::new(3);
        let mut seed: u64 = 7;
        let mut places: Vec<Place> = Vec::new();
        for _ in 0..2_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let user = UserId::from_uuid(Uuid::from_u128(u128::from(seed >> 40) % 5));
            if seed >> 62 == 0 && !places.is_empty() {
                let at = usize::try_from(seed >> 33).unwrap() % places.len();
                places.swap_remove(at);
            } else if places.len() < 30 {
                places.push(admission.enter(user));
            } else {
                places.remove(0);
            }
            let positions = positions(&mut places);
            let admitted = positions.iter().filter(|position| position.is_none()).count();
            assert_eq!(admitted, places.len().min(3));
            let mut waiting: Vec<_> = positions.into_iter().flatten().collect();
            waiting.sort_unstable();
            assert!(waiting.iter().copied().eq(1..=u32::try_from(waiting.len()).unwrap()));
        }
    }
}
