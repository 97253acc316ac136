//! Who is signed in, or has a key, remembered for a moment: every request asks.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use moka::sync::Cache;

/// How long this process may not notice what another one did.
const LAG: Duration = Duration::from_secs(1);
const CAPACITY: u64 = 10_000;

/// Somebody or something that is good, by its name.
pub(in crate::persistence) struct Principals<K, V> {
    known: Cache<K, Remembered<V>>,
    endings: Endings,
}

/// Counts what this process ended, and what it heard that others did. What was read before the
/// last of it counts for nothing.
#[derive(Clone, Default)]
pub(in crate::persistence) struct Endings(Arc<AtomicU64>);

impl Endings {
    pub(in crate::persistence) fn count(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// Taken before the database is read.
#[derive(Clone, Copy)]
pub(in crate::persistence) struct Moment(u64);

#[derive(Clone)]
struct Remembered<V> {
    principal: V,
    expires_at: DateTime<Utc>,
    read: u64,
}

impl<K, V> Principals<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(in crate::persistence) fn new(endings: Endings) -> Self {
        let known = Cache::builder().max_capacity(CAPACITY).time_to_live(LAG).build();
        Self { known, endings }
    }

    pub(in crate::persistence) fn now(&self) -> Moment {
        Moment(self.endings.0.load(Ordering::Acquire))
    }

    pub(in crate::persistence) fn get(&self, id: &K, now: DateTime<Utc>) -> Option<V> {
        let remembered = self.known.get(id)?;
        let Moment(endings) = self.now();
        let holds = remembered.read == endings && now < remembered.expires_at;
        holds.then_some(remembered.principal)
    }

    pub(in crate::persistence) fn remember(
        &self,
        id: K,
        principal: V,
        expires_at: DateTime<Utc>,
        Moment(read): Moment,
    ) {
        self.known.insert(id, Remembered { principal, expires_at, read });
    }

    /// Everything: ending a session is rare, reading one again is cheap, and a read that is under
    /// way cannot bring back what was ended meanwhile.
    pub(in crate::persistence) fn forget(&self) {
        self.endings.count();
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use repartee_application::ports::Principal;
    use repartee_domain::{LoginSessionId, UserId, accounts::Role};
    use uuid::Uuid;

    use super::*;

    const ID: LoginSessionId = LoginSessionId::from_uuid(Uuid::from_u128(1));
    const ADA: Principal =
        Principal { user: UserId::from_uuid(Uuid::from_u128(2)), role: Role::User };
    const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);

    #[test]
    fn what_was_read_before_an_ending_does_not_outlive_it() {
        let principals = Principals::new(Endings::default());
        let before = principals.now();
        principals.forget();

        principals.remember(ID, ADA, NOW + TimeDelta::days(1), before);

        assert_eq!(principals.get(&ID, NOW), None);
    }

    #[test]
    fn a_session_that_runs_out_is_not_known_any_more() {
        let principals = Principals::new(Endings::default());
        principals.remember(ID, ADA, NOW, principals.now());

        assert_eq!(principals.get(&ID, NOW - TimeDelta::microseconds(1)), Some(ADA));
        assert_eq!(principals.get(&ID, NOW), None);
    }
}
