//! What a reply does while its model is asked.

use std::{convert::Infallible, future::pending, pin::pin};

use async_trait::async_trait;
use tokio::time::sleep;

use super::{Shared, draft::Draft, runner::Job, writing::CHECKPOINT};
use crate::{asking::Asker, models::Model, ports::ChatRequest};

/// Asks for a reply, and has what was told of it stored meanwhile.
pub(super) struct Writer<'a> {
    pub(super) shared: &'a Shared,
    pub(super) job: &'a Job,
    pub(super) draft: &'a mut Draft,
}

#[async_trait]
impl Asker for Writer<'_> {
    fn request(&self, model: &Model) -> ChatRequest {
        self.job.request(model)
    }

    fn queued(&mut self, position: u32) {
        self.draft.queued(position, &self.shared.ports);
    }

    async fn meanwhile(&mut self) -> Infallible {
        patiently(pending(), self.shared, self.draft).await
    }
}

/// Waits, and has what was told so far stored where that takes long.
pub(super) async fn patiently<T>(
    waiting: impl Future<Output = T>,
    shared: &Shared,
    draft: &mut Draft,
) -> T {
    let mut waiting = pin!(waiting);
    loop {
        let can_save = draft.has_unsaved() && !draft.is_saving();
        tokio::select! {
            biased;
            done = &mut waiting => return done,
            () = draft.saved() => {}
            () = sleep(CHECKPOINT), if can_save => draft.checkpoint(&shared.checkpointer),
        }
    }
}
