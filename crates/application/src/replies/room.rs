//! Room among the replies for what is written beside them.

use std::sync::atomic::Ordering::SeqCst;

use repartee_domain::UserId;
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{
    ReplyService,
    admission::{Admission, Place},
    begin::RETRY_AFTER_SHUTDOWN,
};
use crate::AppError;

/// While this is held, shutting down waits.
pub(crate) struct Room {
    admission: Admission,
    /// Cancelled when what is being written has to stop.
    pub(crate) shutdown: CancellationToken,
    _running: TaskTrackerToken,
}

impl ReplyService {
    /// # Errors
    /// [`AppError::ShuttingDown`].
    pub(crate) fn room(&self) -> Result<Room, AppError> {
        // Before looking: whoever shuts down waits for it.
        let running = self.shared.running.token();
        if self.shared.is_draining.load(SeqCst) {
            return Err(AppError::ShuttingDown { retry_after: RETRY_AFTER_SHUTDOWN });
        }
        Ok(Room {
            admission: self.shared.admission.clone(),
            shutdown: self.shared.shutdown.clone(),
            _running: running,
        })
    }
}

impl Room {
    /// Waits for a place among what is written at once, in fair order.
    pub(crate) async fn place(&self, user: UserId) -> Place {
        let place = self.admission.enter(user);
        place.admitted().await;
        place
    }
}
