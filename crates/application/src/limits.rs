//! How much each caller may ask for: who is counted, against what, and what follows.

#[cfg(test)]
mod tests;

use std::{cmp::Reverse, sync::Arc, time::Duration};

use repartee_domain::{
    audit::{Action, AuditActor, AuditEntry, AuditOutcome},
    limits::{Level, Quota},
    network::AddressBlock,
};

use crate::{
    Actor, AppError, Credential, Origin,
    ports::{
        AuditRecorder, Clock, Counter, Decision, LimitClass, LimitSubject, RateLimiter, Spawner,
    },
};

/// An address may stand for so many users.
const USERS_BEHIND_AN_ADDRESS: u32 = 10;

#[derive(Clone)]
pub struct LimitService {
    ports: Arc<LimitPorts>,
    rules: Arc<LimitRules>,
}

pub struct LimitPorts {
    /// Counts in this process.
    pub local: Arc<dyn RateLimiter>,
    /// Counts for all processes together, where there is something to share by.
    pub shared: Option<Arc<dyn RateLimiter>>,
    pub audit: Arc<dyn AuditRecorder>,
    pub spawner: Arc<dyn Spawner>,
    pub clock: Arc<dyn Clock>,
}

/// How much there may be; 0 for any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitRules {
    /// Per user, and ten times as many per address.
    pub requests_per_minute: u32,
    /// Per user, and ten times as many per address.
    pub requests_per_hour: u32,
    /// Per address, as with the rest.
    pub log_ins_per_minute: u32,
    pub registrations_per_hour: u32,
    pub resets_per_hour: u32,
    pub guest_requests_per_minute: u32,
    /// Per user.
    pub uploads_per_minute: u32,
}

impl LimitService {
    pub fn new(ports: LimitPorts, rules: LimitRules) -> Self {
        Self { ports: Arc::new(ports), rules: Arc::new(rules) }
    }

    /// What an address asks for, before anybody knows who it is. A request of a class that has a
    /// limit of its own is counted against both.
    pub async fn admit_address(&self, class: LimitClass, origin: &Origin) -> Decision {
        let Some(address) = origin.address else { return Decision::default() };
        let subject = LimitSubject::Address(AddressBlock::of(address));
        let own = self.rules.of_class(class).map(|quota| Counter { class, subject, quota });
        let any = self.rules.of_address().map(|quota| Counter {
            class: LimitClass::Requests,
            subject,
            quota,
        });
        let counters: Vec<_> = own.into_iter().chain(any).collect();
        self.count(&counters, |action, at| origin.entry(AuditActor::Nobody, action, at)).await
    }

    /// What somebody asks for who is known: a user, a user's key, or a guest, who is an address.
    pub async fn admit(&self, class: LimitClass, actor: &Actor) -> Decision {
        let counters = match &actor.credential {
            Credential::Guest => self.of_guest(&actor.origin),
            Credential::Key(_) | Credential::Session(_) | Credential::External { .. } => {
                self.of_user(class, actor)
            }
        };
        self.count(&counters, |action, at| match actor.credential {
            // Who has no account is nobody that is known.
            Credential::Guest => actor.origin.entry(AuditActor::Nobody, action, at),
            Credential::Key(_) | Credential::Session(_) | Credential::External { .. } => {
                actor.did(action, at)
            }
        })
        .await
    }

    fn of_user(&self, class: LimitClass, actor: &Actor) -> Vec<Counter> {
        let subject = LimitSubject::User(actor.user);
        let own = self.rules.of_users(class).map(|quota| Counter { class, subject, quota });
        let class = LimitClass::Requests;
        let of_user = self.rules.of_user().map(|quota| Counter { class, subject, quota });
        let of_key = actor.key().and_then(|key| {
            let limit = key.requests_per_minute.unwrap_or(0);
            let quota = Quota::named("key-minute", limit, Duration::from_mins(1))?;
            Some(Counter { class, subject: LimitSubject::Key(key.id), quota })
        });
        own.into_iter().chain(of_user).chain(of_key).collect()
    }

    fn of_guest(&self, origin: &Origin) -> Vec<Counter> {
        let class = LimitClass::Guests;
        let subject = origin.address.map(AddressBlock::of).map(LimitSubject::Address);
        let counter = subject.zip(self.rules.of_class(class));
        counter.map(|(subject, quota)| Counter { class, subject, quota }).into_iter().collect()
    }

    async fn count(
        &self,
        counters: &[Counter],
        entry: impl FnOnce(Action, chrono::DateTime<chrono::Utc>) -> AuditEntry,
    ) -> Decision {
        let decision = self.decide(counters).await;
        if decision.retry_after.is_some()
            && let Some(counter) = decision.nearest().and_then(|nearest| counters.get(nearest))
        {
            let entry = entry(Action::RateLimitHit, self.ports.clock.now());
            self.tell(counter, entry).await;
        }
        decision
    }

    /// While the shared limiter is away, what guards accounts is counted here, and everything else
    /// is let in: better too much than nothing.
    async fn decide(&self, counters: &[Counter]) -> Decision {
        if counters.is_empty() {
            return Decision::default();
        }
        let Some(shared) = &self.ports.shared else {
            return self.ports.local.check(counters).await.unwrap_or_default();
        };
        if let Ok(decision) = shared.check(counters).await {
            return decision;
        }
        let guarding: Vec<_> =
            counters.iter().filter(|counter| counter.class.guards_accounts()).copied().collect();
        self.ports.local.check(&guarding).await.unwrap_or_default()
    }

    /// Has it recorded that a limit was hit, in the background and once a window, by whichever
    /// process is first.
    async fn tell(&self, hit: &Counter, entry: AuditEntry) {
        let Some(quota) = Quota::named("entry", 1, hit.quota.window) else { return };
        // By class: who guesses passwords is told of, whatever else they are told of already.
        let class = LimitClass::Entries(hit.class.as_str());
        let once = [Counter { class, subject: hit.subject, quota }];
        // Asked first, so that a flood of refusals costs nothing.
        if !matches!(self.ports.local.check(&once).await, Ok(told) if told.is_admitted()) {
            return;
        }
        let entry = entry
            .with("class", hit.class.as_str())
            .with("quota", hit.quota.name)
            .outcome(AuditOutcome::Denied);
        let ports = Arc::clone(&self.ports);
        self.ports.spawner.spawn(Box::pin(async move {
            if let Some(shared) = &ports.shared
                && matches!(shared.check(&once).await, Ok(told) if !told.is_admitted())
            {
                return;
            }
            if let Err(error) = ports.audit.record(entry).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "that a limit was hit is not in the audit log"
                );
            }
        }));
    }
}

impl LimitRules {
    fn of_user(&self) -> impl Iterator<Item = Quota> + use<> {
        let quotas =
            [Quota::a_minute(self.requests_per_minute), Quota::an_hour(self.requests_per_hour)];
        quotas.into_iter().flatten()
    }

    fn of_address(&self) -> impl Iterator<Item = Quota> + use<> {
        let of_all = |limit: u32| limit.saturating_mul(USERS_BEHIND_AN_ADDRESS);
        let named = |name, limit, window| Quota::named(name, of_all(limit), window);
        let quotas = [
            named("address-minute", self.requests_per_minute, Duration::from_mins(1)),
            named("address-hour", self.requests_per_hour, Duration::from_hours(1)),
        ];
        quotas.into_iter().flatten()
    }

    /// Of what has a limit of its own for users, and none for addresses.
    fn of_users(&self, class: LimitClass) -> Option<Quota> {
        let is_upload = class == LimitClass::Uploads;
        let quota = Quota::named(class.as_str(), self.uploads_per_minute, Duration::from_mins(1));
        quota.filter(|_| is_upload)
    }

    fn of_class(&self, class: LimitClass) -> Option<Quota> {
        const MINUTE: Duration = Duration::from_mins(1);
        const HOUR: Duration = Duration::from_hours(1);

        let (limit, window) = match class {
            LimitClass::LogIns => (self.log_ins_per_minute, MINUTE),
            LimitClass::Registrations => (self.registrations_per_hour, HOUR),
            LimitClass::Resets => (self.resets_per_hour, HOUR),
            LimitClass::Guests => (self.guest_requests_per_minute, MINUTE),
            LimitClass::Requests | LimitClass::Uploads | LimitClass::Entries(_) => return None,
        };
        Quota::named(class.as_str(), limit, window)
    }
}

impl Decision {
    pub fn is_admitted(&self) -> bool {
        self.retry_after.is_none()
    }

    /// # Errors
    /// [`AppError::RateLimited`] where it was too much.
    pub fn admitted(&self) -> Result<(), AppError> {
        match self.retry_after {
            Some(retry_after) => Err(AppError::RateLimited { retry_after }),
            None => Ok(()),
        }
    }

    /// Of the quota that is nearest to its end, its place among the levels.
    pub fn nearest(&self) -> Option<usize> {
        let nearness = |level: &Level| (level.remaining, Reverse(level.reset));
        let levels = self.levels.iter().enumerate();
        levels.min_by_key(|(_, level)| nearness(level)).map(|(place, _)| place)
    }
}
