//! Who is signed in, remembered for a moment: every request asks.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use repartee_application::ports::Principal;
use repartee_domain::LoginSessionId;

/// How long this process may not notice what another one did.
const LAG: Duration = Duration::from_secs(1);
const CAPACITY: u64 = 10_000;

pub(super) struct Principals {
    known: Cache<LoginSessionId, Remembered>,
    /// Counts what this process ended. What was read before the last of it counts for nothing.
    endings: AtomicU64,
}

/// Taken before the database is read.
#[derive(Clone, Copy)]
pub(super) struct Moment(u64);

#[derive(Clone, Copy)]
struct Remembered {
    principal: Principal,
    expires_at: DateTime<Utc>,
    read: u64,
}

impl Default for Principals {
    fn default() -> Self {
        let known = Cache::builder().max_capacity(CAPACITY).time_to_live(LAG).build();
        Self { known, endings: AtomicU64::new(0) }
    }
}

impl Principals {
    pub(super) fn now(&self) -> Moment {
        Moment(self.endings.load(Ordering::Acquire))
    }

    pub(super) fn get(&self, id: LoginSessionId, now: DateTime<Utc>) -> Option<Principal> {
        let remembered = self.known.get(&id)?;
        let Moment(endings) = self.now();
        let holds = remembered.read == endings && now < remembered.expires_at;
        holds.then_some(remembered.principal)
    }

    pub(super) fn remember(
        &self,
        id: LoginSessionId,
        principal: Principal,
        expires_at: DateTime<Utc>,
        Moment(read): Moment,
    ) {
        self.known.insert(id, Remembered { principal, expires_at, read });
    }

    /// Everything: ending a session is rare, reading one again is cheap, and a read that is under
    /// way cannot bring back what was ended meanwhile.
    pub(super) fn forget(&self) {
        self.endings.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use repartee_domain::{UserId, accounts::Role};
    use uuid::Uuid;

    use super::*;

    const ID: LoginSessionId = LoginSessionId::from_uuid(Uuid::from_u128(1));
    const ADA: Principal =
        Principal { user: UserId::from_uuid(Uuid::from_u128(2)), role: Role::User };
    const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);

    #[test]
    fn what_was_read_before_an_ending_does_not_outlive_it() {
        let principals = Principals::default();
        let before = principals.now();
        principals.forget();

        principals.remember(ID, ADA, NOW + TimeDelta::days(1), before);

        assert_eq!(principals.get(ID, NOW), None);
    }

    #[test]
    fn a_session_that_runs_out_is_not_known_any_more() {
        let principals = Principals::default();
        principals.remember(ID, ADA, NOW, principals.now());

        assert_eq!(principals.get(ID, NOW - TimeDelta::microseconds(1)), Some(ADA));
        assert_eq!(principals.get(ID, NOW), None);
    }
}
