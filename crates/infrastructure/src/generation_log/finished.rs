//! Which replies that are over are still in memory.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use repartee_domain::GenerationId;

use super::Retention;

pub(super) struct Finished {
    retention: Retention,
    /// The first to end first.
    replies: VecDeque<Reply>,
    bytes: usize,
}

struct Reply {
    generation: GenerationId,
    bytes: usize,
    ended_at: DateTime<Utc>,
}

impl Finished {
    pub(super) fn new(retention: Retention) -> Self {
        Self { retention, replies: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn add(&mut self, generation: GenerationId, bytes: usize, ended_at: DateTime<Utc>) {
        self.bytes += bytes;
        self.replies.push_back(Reply { generation, bytes, ended_at });
    }

    /// Lets go of the oldest one that is too old, or too much; `None` when all may stay.
    pub(super) fn evict(&mut self, now: DateTime<Utc>) -> Option<GenerationId> {
        let oldest = self.replies.front()?;
        let is_old = now - oldest.ended_at >= self.retention.time;
        if !is_old && self.bytes <= self.retention.bytes {
            return None;
        }
        let evicted = self.replies.pop_front()?;
        self.bytes -= evicted.bytes;
        Some(evicted.generation)
    }
}
