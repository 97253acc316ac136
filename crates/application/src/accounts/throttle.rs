//! Making guesses at passwords slow, whether there is such an account or not.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use repartee_domain::{
    UserId,
    accounts::counted_name,
    audit::{Action, AuditActor, AuditOutcome},
};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    AppError, Origin,
    ports::{Clock, LoginFailureRepository, NameHash, TokenSigner},
};

/// Names share so many places in the queue, so that memory is bounded. Who shares one waits for
/// the other, and no longer than a hashing takes.
const PLACES: usize = 1024;

/// Log-ins with one name are taken one after the other: guessing with many at once is no faster.
pub struct LogInThrottle {
    ports: ThrottlePorts,
    places: Box<[Mutex<()>]>,
}

pub struct ThrottlePorts {
    pub failures: Arc<dyn LoginFailureRepository>,
    pub signer: Arc<dyn TokenSigner>,
    pub clock: Arc<dyn Clock>,
}

/// A try with a name. Nobody else tries with it meanwhile.
pub(super) struct Try<'a> {
    ports: &'a ThrottlePorts,
    name: NameHash,
    has_failed_before: bool,
    _place: MutexGuard<'a, ()>,
}

impl LogInThrottle {
    pub fn new(ports: ThrottlePorts) -> Self {
        Self { ports, places: (0..PLACES).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn hash(&self, name: &str) -> NameHash {
        self.ports.signer.hash_name(&counted_name(name))
    }

    /// # Errors
    /// [`AppError::TooManyFailures`] while the name has to wait.
    pub(super) async fn enter(&self, name: &str) -> Result<Try<'_>, AppError> {
        let name = self.hash(name);
        let place = usize::from(u16::from_le_bytes([name.0[0], name.0[1]])) % PLACES;
        let place = self.places[place].lock().await;
        let found = self.ports.failures.find(name).await?;
        let wait_until = found.and_then(|found| found.wait_until);
        if let Some(retry_after) = wait_until.and_then(|until| left(until, self.ports.clock.now()))
        {
            return Err(AppError::TooManyFailures { retry_after });
        }
        Ok(Try { ports: &self.ports, name, has_failed_before: found.is_some(), _place: place })
    }
}

impl Try<'_> {
    /// Counts, and says so in the audit log, with as much of the name's hash as tells names apart. `user` is who has that name, where somebody does.
    pub(super) async fn failed(
        self,
        user: Option<UserId>,
        origin: &Origin,
    ) -> Result<(), AppError> {
        let now = self.ports.clock.now();
        let actor = user.map_or(AuditActor::Nobody, AuditActor::User);
        let shown = self.name.0.first_chunk().copied().map(u64::from_be_bytes).unwrap_or_default();
        let entry = origin.entry(actor, Action::LogInFailed, now);
        let entry =
            entry.outcome(AuditOutcome::Failure).with("name_sha256", format!("{shown:016x}"));
        Ok(self.ports.failures.count(self.name, now, entry).await?)
    }

    pub(super) async fn succeeded(self) -> Result<(), AppError> {
        if self.has_failed_before {
            self.ports.failures.clear(self.name).await?;
        }
        Ok(())
    }
}

/// In whole seconds, for that is what a client is told; `None` where it is over.
fn left(until: DateTime<Utc>, now: DateTime<Utc>) -> Option<Duration> {
    let left = (until - now).to_std().ok().filter(|left| !left.is_zero())?;
    Some(Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use chrono::TimeDelta;

    use super::*;
    use crate::{
        accounts::fixture::NOW,
        ports::{MockClock, MockLoginFailureRepository, MockTokenSigner},
    };

    #[test]
    fn what_is_left_is_told_in_whole_seconds_never_too_few() {
        let seconds = |millis| left(NOW + TimeDelta::milliseconds(millis), NOW);
        assert_eq!(seconds(1), Some(Duration::from_secs(1)));
        assert_eq!(seconds(1_000), Some(Duration::from_secs(1)));
        assert_eq!(seconds(1_001), Some(Duration::from_secs(2)));
        assert_eq!(seconds(0), None);
        assert_eq!(seconds(-5), None);
    }

    #[tokio::test]
    async fn tries_with_one_name_come_one_after_the_other_and_with_two_at_once() {
        for (names, most) in [(["ada", " ADA"], 1), (["ada", "bob"], 2)] {
            let mut failures = MockLoginFailureRepository::new();
            failures.expect_find().returning(|_| Ok(None));
            let mut signer = MockTokenSigner::new();
            signer.expect_hash_name().returning(|name| NameHash([name.as_bytes()[0]; 32]));
            let mut clock = MockClock::new();
            clock.expect_now().return_const(NOW);
            let throttle = LogInThrottle::new(ThrottlePorts {
                failures: Arc::new(failures),
                signer: Arc::new(signer),
                clock: Arc::new(clock),
            });
            let (running, seen) = (AtomicU32::new(0), AtomicU32::new(0));
            let tries = (0..20).map(async |n| {
                let attempt = throttle.enter(names[n % 2]).await.unwrap();
                seen.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, SeqCst);
                drop(attempt);
            });
            futures::future::join_all(tries).await;
            assert_eq!(seen.load(SeqCst), most);
        }
    }
}
