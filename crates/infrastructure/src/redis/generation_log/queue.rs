//! What waits to be written to Redis.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex},
};

use repartee_application::ports::LoggedEvent;
use repartee_domain::GenerationId;
use tokio::sync::Notify;

use crate::generation_log::lock;

/// How much may wait. What is more is not written to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    pub events: usize,
    pub bytes: usize,
}

impl Default for QueueLimits {
    /// 65,536 events, 32 MiB.
    fn default() -> Self {
        Self { events: 65_536, bytes: 32 << 20 }
    }
}

#[derive(Debug)]
pub(super) enum Step {
    Add(Arc<LoggedEvent>),
    /// The stream has a gap that nobody will fill: it is of no use to anyone.
    Forget(GenerationId),
}

pub(super) struct Queue {
    limits: QueueLimits,
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Default)]
struct State {
    steps: VecDeque<Step>,
    events: usize,
    bytes: usize,
    /// Replies being written of which an event was lost.
    given_up: HashSet<GenerationId>,
    is_drop_told: bool,
}

impl Queue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { limits, state: Mutex::default(), filled: Notify::new() }
    }

    /// Takes an event, or drops it and gives its reply's stream up. Never waits.
    pub(super) fn push(&self, event: Arc<LoggedEvent>) {
        let generation = event.generation;
        let ends = event.kind.is_terminal();
        let is_first_drop = {
            let mut state = lock(&self.state);
            if state.given_up.contains(&generation) {
                if ends {
                    state.given_up.remove(&generation);
                }
                return;
            }
            if self.has_room(&state, event.data.len()) {
                state.events += 1;
                state.bytes += event.data.len();
                state.steps.push_back(Step::Add(event));
                false
            } else {
                if !ends {
                    state.given_up.insert(generation);
                }
                // Without its first event it has no stream.
                if event.seq > 1 {
                    state.steps.push_back(Step::Forget(generation));
                }
                !std::mem::replace(&mut state.is_drop_told, true)
            }
        };
        self.filled.notify_one();
        if is_first_drop {
            tracing::warn!(
                "too many events wait for Redis: some replies are not told to other replicas"
            );
        }
    }

    /// A reply of which Redis refused an event is as good as one of which an event was dropped.
    /// `has_ended` says that its last step was taken already.
    pub(super) fn give_up(&self, generation: GenerationId, has_ended: bool) {
        {
            let mut state = lock(&self.state);
            if !has_ended && !state.steps.iter().any(|step| step.is_last_of(generation)) {
                state.given_up.insert(generation);
            }
            state.steps.push_back(Step::Forget(generation));
        }
        self.filled.notify_one();
    }

    /// What waits, in order; not empty. As [`Queue::take`].
    pub(super) async fn next(&self, most: usize, most_bytes: usize) -> Vec<Step> {
        loop {
            let steps = self.take(most, most_bytes);
            if !steps.is_empty() {
                return steps;
            }
            self.filled.notified().await;
        }
    }

    /// What waits, in order: at most so many steps, and so many bytes unless the first has more.
    pub(super) fn take(&self, most: usize, most_bytes: usize) -> Vec<Step> {
        let mut state = lock(&self.state);
        let mut bytes = 0;
        let fit = state.steps.iter().take(most).take_while(|step| {
            bytes += step.bytes();
            bytes <= most_bytes
        });
        let count = fit.count().max(1).min(state.steps.len());
        let steps: Vec<Step> = state.steps.drain(..count).collect();
        for step in &steps {
            if let Step::Add(event) = step {
                state.events -= 1;
                state.bytes -= event.data.len();
            }
        }
        state.is_drop_told &= !state.steps.is_empty();
        steps
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        state.events < self.limits.events && state.bytes + bytes <= self.limits.bytes
    }
}

impl Step {
    /// Whether nothing comes of a reply after it.
    pub(super) fn is_last_of(&self, generation: GenerationId) -> bool {
        match self {
            Self::Add(event) => event.generation == generation && event.kind.is_terminal(),
            Self::Forget(forgotten) => *forgotten == generation,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Add(event) => event.data.len(),
            Self::Forget(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use repartee_application::ports::EventKind::{self, Delta, Done, Start};
    use uuid::Uuid;

    use super::*;

    const ONE: GenerationId = GenerationId::from_uuid(Uuid::from_u128(1));
    const OTHER: GenerationId = GenerationId::from_uuid(Uuid::from_u128(2));

    fn event(
        generation: GenerationId,
        seq: u64,
        kind: EventKind,
        bytes: usize,
    ) -> Arc<LoggedEvent> {
        let data = Bytes::from(vec![b'x'; bytes]);
        Arc::new(LoggedEvent::new(generation, seq, kind, data))
    }

    /// With room for so many events.
    fn queue(events: usize) -> Queue {
        Queue::new(QueueLimits { events, ..QueueLimits::default() })
    }

    fn numbers(steps: &[Step]) -> Vec<Option<u64>> {
        let number = |step: &Step| match step {
            Step::Add(event) => Some(event.seq),
            Step::Forget(_) => None,
        };
        steps.iter().map(number).collect()
    }

    #[test]
    fn what_is_taken_is_bounded_in_bytes_but_never_nothing() {
        let queue = queue(100);
        for (seq, bytes) in (1..).zip([10, 10, 11, 50, 5, 5, 5]) {
            queue.push(event(ONE, seq, Delta, bytes));
        }

        let taken: Vec<_> = (0..4).map(|_| numbers(&queue.take(2, 30))).collect();

        let [one, two, three, four, five, six] = [1, 2, 3, 4, 5, 6].map(Some);
        assert_eq!(taken, [vec![one, two], vec![three], vec![four], vec![five, six]]);
        assert_eq!(numbers(&queue.take(9, 30)), [Some(7)]);
        assert!(queue.take(9, 30).is_empty());
        let state = lock(&queue.state);
        assert_eq!((state.events, state.bytes), (0, 0));
    }

    #[test]
    fn of_what_never_began_there_is_nothing_to_forget() {
        let queue = queue(1);
        queue.push(event(ONE, 1, Start, 1));
        for seq in 1..=9 {
            queue.push(event(OTHER, seq, if seq == 9 { Done } else { Delta }, 1));
        }

        assert_eq!(numbers(&queue.take(9, 9)), [Some(1)]);
        assert!(lock(&queue.state).given_up.is_empty());
    }

    #[test]
    fn what_is_given_up_after_its_end_was_queued_is_not_remembered() {
        let queue = queue(100);
        queue.push(event(ONE, 1, Start, 1));
        queue.push(event(ONE, 2, Delta, 1));
        queue.push(event(ONE, 3, Done, 1));
        queue.take(1, 9);

        queue.give_up(ONE, false);
        queue.take(2, 9);
        queue.give_up(ONE, true);

        assert!(lock(&queue.state).given_up.is_empty());
        assert_eq!(numbers(&queue.take(9, 9)), [None, None]);
    }

    #[test]
    fn what_is_given_up_before_its_end_is_remembered_until_then() {
        let queue = queue(100);
        queue.push(event(ONE, 1, Start, 1));
        queue.take(9, 9);
        queue.give_up(ONE, false);

        queue.push(event(ONE, 2, Delta, 1));
        queue.push(event(ONE, 3, Done, 1));

        assert_eq!(numbers(&queue.take(9, 9)), [None]);
        assert!(lock(&queue.state).given_up.is_empty());
    }
}
