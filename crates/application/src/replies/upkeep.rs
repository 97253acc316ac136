//! What has to be done from time to time.

use std::{error::Error, time::Duration};

use chrono::TimeDelta;
use futures::future::BoxFuture;
use tokio::time::{MissedTickBehavior, interval};

use super::{LEASE, ReplyService, Shared};

const EVERY: Duration = Duration::from_secs(5);
/// Who stops a reply that another process writes waits for this, and for the model's provider to
/// let go: a second in all.
const HEED: Duration = Duration::from_millis(250);
const FORGET_AT_ONCE: u32 = 500;

impl ReplyService {
    /// Renews leases, stops what was asked to stop elsewhere, settles what others left and forgets
    /// old events, until shutting down. Each goes by itself, so that nothing that takes long can
    /// cost the leases.
    pub fn start_upkeep(&self) {
        self.every(EVERY, |service| Box::pin(service.renew_leases()));
        self.every(EVERY, |service| Box::pin(service.tidy_up()));
        self.every(HEED, |service| Box::pin(service.heed_cancel_requests()));
    }

    fn every(&self, period: Duration, task: fn(Self) -> BoxFuture<'static, ()>) {
        let service = self.clone();
        self.shared.ports.spawner.spawn(Box::pin(async move {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let shutdown = service.shared.shutdown.clone();
            let work = async {
                loop {
                    ticks.tick().await;
                    task(service.clone()).await;
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = work => {}
            }
        }));
    }

    async fn renew_leases(self) {
        let generations = self.shared.in_hand.generations();
        if generations.is_empty() {
            return;
        }
        let Shared { ports, owner, .. } = &*self.shared;
        let until = ports.clock.now() + LEASE;
        if let Err(error) = ports.turns.renew_leases(*owner, generations, until).await {
            // Should it last, others settle our replies; our own end then finds them settled.
            tracing::error!(error = &error as &dyn Error, "cannot renew leases");
        }
    }

    async fn tidy_up(self) {
        if let Err(error) = self.settle().await {
            tracing::error!(error = &error as &dyn Error, "cannot settle interrupted replies");
        }
        let turns = &self.shared.ports.turns;
        let replayable =
            TimeDelta::from_std(self.shared.rules.replayable).unwrap_or(TimeDelta::MAX);
        let now = self.shared.ports.clock.now();
        let Some(ended_before) = now.checked_sub_signed(replayable) else { return };
        loop {
            match turns.forget_events(ended_before, FORGET_AT_ONCE).await {
                Ok(forgotten) if forgotten == u64::from(FORGET_AT_ONCE) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::error!(error = &error as &dyn Error, "cannot forget old events");
                    return;
                }
            }
        }
    }
}
