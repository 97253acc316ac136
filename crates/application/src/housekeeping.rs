//! Forgetting what is good for nothing any more.

use std::{error::Error, sync::Arc, time::Duration};

use chrono::TimeDelta;
use repartee_domain::limits::Month;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    AppError,
    files::ObjectSweeper,
    ports::{
        BudgetLedger, Clock, FeedLog, GuestRepository, IdempotencyKeys, LoginFailureRepository,
        PortError, Spawner, TicketRepository,
    },
    replies::ReplyService,
};

const EVERY: Duration = Duration::from_mins(1);
const AT_ONCE: u32 = 500;
/// How long a device may be away and still be told what it missed.
const FEED_KEPT: TimeDelta = TimeDelta::days(7);
/// How long failed log-ins count after the last of them.
const FAILURES_KEPT: TimeDelta = TimeDelta::days(1);

#[derive(Clone)]
pub struct Housekeeping {
    pub keys: Arc<dyn IdempotencyKeys>,
    pub tickets: Arc<dyn TicketRepository>,
    pub feed: Arc<dyn FeedLog>,
    pub guests: Arc<dyn GuestRepository>,
    pub failures: Arc<dyn LoginFailureRepository>,
    pub budgets: Arc<dyn BudgetLedger>,
    pub objects: ObjectSweeper,
    pub replies: ReplyService,
    pub clock: Arc<dyn Clock>,
}

impl Housekeeping {
    /// Goes on until the token is cancelled.
    pub fn start(self, spawner: &dyn Spawner, stop: CancellationToken) {
        spawner.spawn(Box::pin(async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let work = async {
                loop {
                    ticks.tick().await;
                    self.tidy_up().await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        }));
    }

    async fn tidy_up(&self) {
        let now = self.clock.now();
        forget_all(|| self.keys.forget(now, AT_ONCE)).await;
        forget_all(|| self.tickets.forget(now, AT_ONCE)).await;
        if let Some(before) = now.checked_sub_signed(FEED_KEPT) {
            forget_all(|| self.feed.forget(before, AT_ONCE)).await;
        }
        if let Some(before) = now.checked_sub_signed(FAILURES_KEPT) {
            forget_all(|| self.failures.forget(before, AT_ONCE)).await;
        }
        forget_all(|| self.budgets.expire(now, AT_ONCE)).await;
        // A reply that began before midnight may end in the month after.
        let month = Month::of(now).previous();
        forget_all(|| self.budgets.forget(month, AT_ONCE)).await;
        if let Err(error) = self.stop_expired_replies().await {
            tracing::error!(error = &error as &dyn Error, "cannot stop what nobody can read");
        }
        forget_all(|| self.guests.forget(now, AT_ONCE)).await;
        // The last: it may take long where the store is far away.
        forget_all(|| self.objects.sweep(now, AT_ONCE)).await;
    }

    /// Guests go once nothing is written for them any more: the next time.
    async fn stop_expired_replies(&self) -> Result<(), AppError> {
        for generation in self.guests.running(self.clock.now(), AT_ONCE).await? {
            self.replies.stop(generation).await?;
        }
        Ok(())
    }
}

/// By portions. What fails is tried again the next time, and keeps nothing else.
async fn forget_all<F>(forget: impl Fn() -> F)
where
    F: Future<Output = Result<u64, PortError>>,
{
    loop {
        match forget().await {
            Ok(count) if count >= u64::from(AT_ONCE) => {}
            Ok(_) => return,
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, "cannot forget what is old");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use repartee_domain::GenerationId;
    use uuid::Uuid;

    use super::*;
    use crate::{
        ports::{
            MockBudgetLedger, MockClock, MockFeedLog, MockGuestRepository, MockIdempotencyKeys,
            MockLoginFailureRepository, MockObjectLedger, MockObjectStore, MockTicketRepository,
        },
        replies::fixture::Fixture,
    };

    fn nothing_to_sweep() -> ObjectSweeper {
        let mut ledger = MockObjectLedger::new();
        ledger.expect_take().once().returning(|_, _, _| Ok(Vec::new()));
        ObjectSweeper { objects: Arc::new(MockObjectStore::new()), ledger: Arc::new(ledger) }
    }

    #[tokio::test]
    async fn what_cannot_be_forgotten_keeps_nothing_else() {
        let unavailable = || Err(PortError::Unavailable("away".into()));
        let mut keys = MockIdempotencyKeys::new();
        keys.expect_forget().once().returning(move |_, _| unavailable());
        let mut tickets = MockTicketRepository::new();
        let mut portions = [Ok(500), unavailable()].into_iter();
        tickets.expect_forget().times(2).returning(move |_, _| portions.next().unwrap());
        let mut feed = MockFeedLog::new();
        let mut portions = [Ok(500), Ok(499)].into_iter();
        feed.expect_forget().times(2).returning(move |_, _| portions.next().unwrap());
        let mut failures = MockLoginFailureRepository::new();
        let a_day_ago = DateTime::UNIX_EPOCH - TimeDelta::days(1);
        failures
            .expect_forget()
            .withf(move |before, _| *before == a_day_ago)
            .once()
            .returning(|_, _| Ok(0));
        let mut budgets = MockBudgetLedger::new();
        let mut portions = [Ok(500), Ok(0)].into_iter();
        budgets.expect_expire().once().returning(|_, _| Ok(0));
        budgets
            .expect_forget()
            .withf(|before, _| before.to_string() == "1969-12")
            .times(2)
            .returning(move |_, _| portions.next().unwrap());
        let mut guests = MockGuestRepository::new();
        guests.expect_running().once().returning(move |_, _| Err(unavailable().unwrap_err()));
        guests.expect_forget().once().returning(|_, _| Ok(3));
        let mut clock = MockClock::new();
        clock.expect_now().return_const(DateTime::UNIX_EPOCH);
        let housekeeping = Housekeeping {
            keys: Arc::new(keys),
            tickets: Arc::new(tickets),
            feed: Arc::new(feed),
            guests: Arc::new(guests),
            failures: Arc::new(failures),
            budgets: Arc::new(budgets),
            objects: nothing_to_sweep(),
            replies: Fixture::answering([]).service,
            clock: Arc::new(clock),
        };

        housekeeping.tidy_up().await;
    }

    #[tokio::test]
    async fn a_reply_in_a_conversation_that_expired_is_stopped_before_that_goes() {
        const GENERATION: GenerationId = GenerationId::from_uuid(Uuid::from_u128(7));
        let fixture = Fixture::answering([]);
        let mut keys = MockIdempotencyKeys::new();
        keys.expect_forget().returning(|_, _| Ok(0));
        let mut tickets = MockTicketRepository::new();
        tickets.expect_forget().returning(|_, _| Ok(0));
        let mut feed = MockFeedLog::new();
        feed.expect_forget().returning(|_, _| Ok(0));
        let mut failures = MockLoginFailureRepository::new();
        failures.expect_forget().returning(|_, _| Ok(0));
        let mut budgets = MockBudgetLedger::new();
        budgets.expect_forget().returning(|_, _| Ok(0));
        budgets.expect_expire().returning(|_, _| Ok(0));
        let mut guests = MockGuestRepository::new();
        guests.expect_running().returning(|_, _| Ok(vec![GENERATION]));
        let turns = fixture.turns.clone();
        guests.expect_forget().once().returning(move |_, _| {
            assert_eq!(turns.0.lock().unwrap().cancel_requests, [GENERATION]);
            Ok(1)
        });
        let mut clock = MockClock::new();
        clock.expect_now().return_const(DateTime::UNIX_EPOCH);
        let housekeeping = Housekeeping {
            keys: Arc::new(keys),
            tickets: Arc::new(tickets),
            feed: Arc::new(feed),
            guests: Arc::new(guests),
            failures: Arc::new(failures),
            budgets: Arc::new(budgets),
            objects: nothing_to_sweep(),
            replies: fixture.service,
            clock: Arc::new(clock),
        };

        housekeeping.tidy_up().await;
    }
}
