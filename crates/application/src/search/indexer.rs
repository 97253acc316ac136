//! Indexing what is new, in the background.
//!
//! Nobody who says something waits for it, and what was stored by an earlier version, or by a
//! process that died, is indexed by the same way.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::ports::{PortError, SearchIndex, Spawner};

/// Who has just said something can find it after this.
const EVERY: Duration = Duration::from_millis(500);
/// Few enough that who writes to the database meanwhile does not notice.
const AT_ONCE: u32 = 50;

pub struct Indexer {
    index: Arc<dyn SearchIndex>,
}

impl Indexer {
    pub fn new(index: Arc<dyn SearchIndex>) -> Self {
        Self { index }
    }

    /// Goes on until the token is cancelled.
    pub fn start(self, spawner: &dyn Spawner, stop: CancellationToken) {
        spawner.spawn(Box::pin(async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let work = async {
                loop {
                    ticks.tick().await;
                    if let Err(error) = self.catch_up().await {
                        let error = &error as &dyn Error;
                        tracing::error!(error, "cannot index what is to be searched");
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        }));
    }

    async fn catch_up(&self) -> Result<(), PortError> {
        while self.index.catch_up(AT_ONCE).await? >= u64::from(AT_ONCE) {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockSearchIndex;

    #[tokio::test]
    async fn everything_is_indexed_by_portions() {
        let mut index = MockSearchIndex::new();
        let mut portions = [50, 51, 49].into_iter();
        index.expect_catch_up().times(3).returning(move |_| Ok(portions.next().unwrap()));

        Indexer::new(Arc::new(index)).catch_up().await.unwrap();
    }

    #[tokio::test]
    async fn what_fails_is_not_tried_at_once_again() {
        let mut index = MockSearchIndex::new();
        index.expect_catch_up().once().returning(|_| Err(PortError::Stale));

        assert!(Indexer::new(Arc::new(index)).catch_up().await.is_err());
    }
}
