//! Shutting down without losing a word.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use tokio::time::timeout;

use super::ReplyService;

/// For the last commits.
const LAST_WAIT: Duration = Duration::from_secs(10);

impl ReplyService {
    /// Refuses new replies from now on, gives the running ones so long to finish, and stores what
    /// is left of them as interrupted. Returns when every reply is stored. Dropping it before its
    /// end skips the waiting; [`ReplyService::interrupt`] then stops them.
    pub async fn drain(&self, patience: Duration) {
        self.shared.is_draining.store(true, SeqCst);
        self.shared.running.close();
        if timeout(patience, self.shared.running.wait()).await.is_err() {
            tracing::warn!(
                left = self.shared.running.len(),
                "interrupting the replies in progress"
            );
        }
        self.interrupt().await;
    }

    /// Stops every running reply where it is and waits until it is stored; not for ever, for the
    /// database may be away: what is not stored then is settled at the next start.
    pub async fn interrupt(&self) {
        self.shared.is_draining.store(true, SeqCst);
        self.shared.running.close();
        self.shared.shutdown.cancel();
        if timeout(LAST_WAIT, self.shared.running.wait()).await.is_err() {
            let left = self.shared.running.len();
            tracing::error!(left, "replies are not stored: the next start settles them");
        }
    }
}
