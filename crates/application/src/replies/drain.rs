//! Shutting down without losing a word.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use tokio::time::timeout;

use super::ReplyService;

impl ReplyService {
    /// Refuses new replies from now on, gives the running ones so long to finish, and stores what
    /// is left of them as interrupted. Returns when every reply is stored. Dropping it before its
    /// end skips the waiting; [`ReplyService::interrupt`] then stops them.
    pub async fn drain(&self, patience: Duration) {
        self.shared.is_draining.store(true, Relaxed);
        self.shared.running.close();
        if timeout(patience, self.shared.running.wait()).await.is_err() {
            tracing::warn!(
                left = self.shared.running.len(),
                "interrupting the replies in progress"
            );
        }
        self.interrupt().await;
    }

    /// Stops every running reply where it is and waits until it is stored.
    pub async fn interrupt(&self) {
        self.shared.is_draining.store(true, Relaxed);
        self.shared.running.close();
        self.shared.shutdown.cancel();
        self.shared.running.wait().await;
    }
}
