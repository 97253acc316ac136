//! What keeps the audit log in order, in the background.

use std::{
    error::Error,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use chrono::NaiveDate;
use repartee_domain::audit::AuditEntry;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{AT_ONCE, Head, trail::Told};
use crate::ports::{Anchor, AuditLog, AuditRecorder, Clock, PortError, Spawner};

const EVERY: Duration = Duration::from_secs(1);

/// Records what it is told, seals what was recorded, and keeps the daily anchor.
pub struct AuditKeeper {
    log: Arc<dyn AuditLog>,
    recorder: Arc<dyn AuditRecorder>,
    clock: Arc<dyn Clock>,
    told: Told,
    /// The day whose anchor is known to be kept.
    anchored: Option<NaiveDate>,
}

impl AuditKeeper {
    pub fn new(
        log: Arc<dyn AuditLog>,
        recorder: Arc<dyn AuditRecorder>,
        clock: Arc<dyn Clock>,
        told: Told,
    ) -> Self {
        Self { log, recorder, clock, told, anchored: None }
    }

    /// Goes on until the token is cancelled, and seals what was recorded until then.
    pub fn start(self, spawner: &dyn Spawner, stop: CancellationToken) {
        spawner.spawn(Box::pin(self.run(stop)));
    }

    async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.keep().await,
                Some(entry) = self.told.entries.recv() => self.record(entry).await,
            }
        }
        self.told.entries.close();
        while let Some(entry) = self.told.entries.recv().await {
            self.record(entry).await;
        }
        self.keep().await;
    }

    async fn record(&self, entry: AuditEntry) {
        let action = entry.action.as_str();
        if let Err(error) = self.recorder.record(entry).await {
            let error = &error as &dyn Error;
            tracing::error!(action, error, "an audit entry is lost");
        }
    }

    async fn keep(&mut self) {
        let lost = self.told.dropped.swap(0, Relaxed);
        if lost > 0 {
            tracing::error!(lost, "audit entries are lost: there were too many at once");
        }
        if let Err(error) = self.seal_and_anchor().await {
            tracing::error!(error = &error as &dyn Error, "the audit log is not sealed");
        }
    }

    async fn seal_and_anchor(&mut self) -> Result<(), PortError> {
        seal_all(&*self.log).await?;
        let now = self.clock.now();
        let day = now.date_naive();
        if self.anchored == Some(day) {
            return Ok(());
        }
        let last = self.log.last_anchor().await?;
        if last.is_some_and(|last| last.day >= day) {
            self.anchored = Some(day);
            return Ok(());
        }
        let head = self.log.head().await?;
        if head == Head::START && last.is_none() {
            return Ok(());
        }
        let position = last.map_or(0, |last| last.head.position);
        if head.position < position {
            tracing::error!(
                position,
                found = head.position,
                "the audit log ends before its last anchor"
            );
        } else {
            if head.position > position {
                self.log.keep_anchor(Anchor { day, head, at: now }).await?;
            }
            // Kept elsewhere too: whoever can write to the database cannot change it there.
            tracing::info!(%day, position = head.position, hash = %head.hash, "audit log anchor");
        }
        self.anchored = Some(day);
        Ok(())
    }
}

/// Everything that was recorded by now.
pub(super) async fn seal_all(log: &dyn AuditLog) -> Result<(), PortError> {
    while log.seal(AT_ONCE).await? >= u64::from(AT_ONCE) {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use futures::FutureExt;
    use repartee_domain::audit::{Action, AuditActor};

    use super::*;
    use crate::{
        audit::{AuditTrail, ChainHash},
        ports::{MockAuditLog, MockAuditRecorder, MockClock},
    };

    const NOON: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_014_400_000_000_000);

    fn head(position: u64) -> Head {
        Head { position, hash: ChainHash([7; 32]) }
    }

    fn anchor(days_ago: i64, position: u64) -> Anchor {
        let at = NOON - TimeDelta::days(days_ago);
        Anchor { day: at.date_naive(), head: head(position), at }
    }

    fn keeper(log: MockAuditLog, recorder: MockAuditRecorder) -> AuditKeeper {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOON);
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let (_, told) = AuditTrail::new(clock.clone());
        AuditKeeper::new(Arc::new(log), Arc::new(recorder), clock, told)
    }

    fn nothing_to_seal() -> MockAuditLog {
        let mut log = MockAuditLog::new();
        log.expect_seal().returning(|_| Ok(0));
        log
    }

    #[tokio::test]
    async fn everything_is_sealed_by_portions() {
        let mut log = MockAuditLog::new();
        let mut portions = [100, 100, 7].into_iter();
        log.expect_seal().times(3).returning(move |_| Ok(portions.next().unwrap()));

        seal_all(&log).await.unwrap();
    }

    #[tokio::test]
    async fn each_day_is_anchored_once() {
        for last in [None, Some(anchor(1, 3))] {
            let mut log = nothing_to_seal();
            log.expect_last_anchor().times(1).returning(move || Ok(last));
            log.expect_head().times(1).returning(|| Ok(head(5)));
            log.expect_keep_anchor()
                .withf(|kept| *kept == anchor(0, 5))
                .times(1)
                .returning(|_| Ok(()));
            let mut keeper = keeper(log, MockAuditRecorder::new());

            keeper.keep().await;
            keeper.keep().await;
        }
    }

    // In these no anchor is kept.

    #[tokio::test]
    async fn a_day_that_has_its_anchor_needs_no_other() {
        let mut log = nothing_to_seal();
        log.expect_last_anchor().times(1).returning(|| Ok(Some(anchor(0, 3))));

        keeper(log, MockAuditRecorder::new()).keep().await;
    }

    #[tokio::test]
    async fn a_log_that_was_cut_is_not_anchored_where_it_ends_now() {
        let mut log = nothing_to_seal();
        log.expect_last_anchor().returning(|| Ok(Some(anchor(1, 9))));
        log.expect_head().returning(|| Ok(head(5)));

        keeper(log, MockAuditRecorder::new()).keep().await;
    }

    #[tokio::test]
    async fn what_was_told_is_recorded_and_sealed_before_the_end() {
        let mut order = mockall::Sequence::new();
        let mut log = MockAuditLog::new();
        let mut recorder = MockAuditRecorder::new();
        recorder.expect_record().times(2).in_sequence(&mut order).returning(|_| Ok(()));
        log.expect_seal().times(1).in_sequence(&mut order).returning(|_| Ok(2));
        log.expect_last_anchor().returning(|| Ok(Some(anchor(0, 3))));
        let (told, entries) = tokio::sync::mpsc::channel(2);
        for _ in 0..2 {
            told.try_send(AuditEntry::new(AuditActor::System, Action::Stopped, NOON)).unwrap();
        }
        let mut keeper = keeper(log, recorder);
        keeper.told.entries = entries;
        let stop = CancellationToken::new();
        stop.cancel();

        assert_eq!(keeper.run(stop).now_or_never(), Some(()));
    }
}
