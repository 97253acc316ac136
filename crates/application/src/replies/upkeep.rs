//! What has to be done from time to time.

use std::{error::Error, time::Duration};

use chrono::TimeDelta;
use tokio::time::{MissedTickBehavior, interval};

use super::{LEASE, ReplyService};

const EVERY: Duration = Duration::from_secs(5);
const FORGET_AT_ONCE: u32 = 500;

impl ReplyService {
    /// Renews leases, settles what others left and forgets old events, until shutting down.
    pub fn start_upkeep(&self) {
        let service = self.clone();
        self.shared.ports.spawner.spawn(Box::pin(async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = service.shared.shutdown.cancelled() => return,
                    _ = ticks.tick() => service.look_after().await,
                }
            }
        }));
    }

    async fn look_after(&self) {
        let turns = &self.shared.ports.turns;
        let now = self.shared.ports.clock.now();
        if let Err(error) = turns.renew_leases(self.shared.owner, now + LEASE).await {
            // Should it last, others settle our replies; our own end then finds them settled.
            tracing::error!(error = &error as &dyn Error, "cannot renew leases");
        }
        if let Err(error) = self.settle().await {
            tracing::error!(error = &error as &dyn Error, "cannot settle interrupted replies");
        }
        let replayable =
            TimeDelta::from_std(self.shared.rules.replayable).unwrap_or(TimeDelta::MAX);
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
