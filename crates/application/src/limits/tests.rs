use std::{net::IpAddr, sync::Mutex};

use chrono::DateTime;
use futures::{FutureExt, future::BoxFuture};
use repartee_domain::{
    ApiKeyId, UserId,
    accounts::{ApiKey, Role, Scopes},
};
use uuid::Uuid;

use super::*;
use crate::ports::{MockAuditRecorder, MockClock, MockRateLimiter, PortError};

const USER: UserId = UserId::from_uuid(Uuid::from_u128(1));
const KEY: ApiKeyId = ApiKeyId::from_uuid(Uuid::from_u128(2));
const EXTERNAL: Credential = Credential::External { expires_at: DateTime::UNIX_EPOCH };
const RULES: LimitRules = LimitRules {
    requests_per_minute: 60,
    requests_per_hour: 1_000,
    log_ins_per_minute: 20,
    registrations_per_hour: 20,
    resets_per_hour: 10,
    guest_requests_per_minute: 20,
    uploads_per_minute: 30,
};

/// What is spawned is done at once.
struct AtOnce;

impl Spawner for AtOnce {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        task.now_or_never().expect("it waits for nothing");
    }
}

/// What a limiter was asked: name, limit, class and subject of each counter.
type Asked = Arc<Mutex<Vec<Vec<Counter>>>>;

fn limiter(
    answer: impl Fn(&[Counter]) -> Result<Decision, PortError> + Send + Sync + 'static,
) -> (Arc<MockRateLimiter>, Asked) {
    let asked = Asked::default();
    let memory = Arc::clone(&asked);
    let mut limiter = MockRateLimiter::new();
    limiter.expect_check().returning(move |counters| {
        memory.lock().unwrap().push(counters.to_vec());
        answer(counters)
    });
    (Arc::new(limiter), asked)
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a limiter answers")]
fn admitted(counters: &[Counter]) -> Result<Decision, PortError> {
    let full = |counter: &Counter| counter.quota.level_after(Duration::ZERO);
    Ok(Decision { levels: counters.iter().map(full).collect(), retry_after: None })
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a limiter answers")]
fn refused(counters: &[Counter]) -> Result<Decision, PortError> {
    let level = |counter: &Counter| counter.quota.level_after(counter.quota.window);
    let levels = counters.iter().map(level).collect();
    Ok(Decision { levels, retry_after: Some(Duration::from_secs(3)) })
}

fn away(_: &[Counter]) -> Result<Decision, PortError> {
    Err(PortError::Unavailable("away".into()))
}

fn service(
    local: Arc<MockRateLimiter>,
    shared: Option<Arc<MockRateLimiter>>,
    audit: MockAuditRecorder,
    rules: LimitRules,
) -> LimitService {
    let mut clock = MockClock::new();
    clock.expect_now().return_const(DateTime::UNIX_EPOCH);
    let ports = LimitPorts {
        local,
        shared: shared.map(|shared| shared as Arc<dyn RateLimiter>),
        audit: Arc::new(audit),
        spawner: Arc::new(AtOnce),
        clock: Arc::new(clock),
    };
    LimitService::new(ports, rules)
}

fn counted_by(limiter: (Arc<MockRateLimiter>, Asked), rules: LimitRules) -> (LimitService, Asked) {
    (service(limiter.0, None, MockAuditRecorder::new(), rules), limiter.1)
}

fn origin(address: &str) -> Origin {
    let address: IpAddr = address.parse().unwrap();
    Origin { address: Some(address), ..Origin::default() }
}

fn actor(credential: Credential) -> Actor {
    Actor { user: USER, role: Role::User, credential, origin: origin("192.0.2.1") }
}

fn key(requests_per_minute: Option<u32>) -> Credential {
    Credential::Key(Arc::new(ApiKey {
        id: KEY,
        owner: USER,
        name: "a key".into(),
        prefix: "rk".into(),
        scopes: Scopes::default(),
        models: None,
        requests_per_minute,
        monthly_token_budget: None,
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
        created_at: DateTime::UNIX_EPOCH,
    }))
}

fn names(asked: &Asked) -> Vec<(&'static str, u32, u64)> {
    let asked = asked.lock().unwrap();
    let quotas = asked.iter().flatten().map(|counter| counter.quota);
    quotas.map(|quota| (quota.name, quota.limit.get(), quota.window.as_secs())).collect()
}

#[tokio::test]
async fn a_user_is_counted_by_minute_and_hour_at_once() {
    let (limits, asked) = counted_by(limiter(admitted), RULES);

    assert!(limits.admit(LimitClass::Requests, &actor(EXTERNAL)).await.is_admitted());

    assert_eq!(asked.lock().unwrap().len(), 1, "all or nothing");
    assert_eq!(names(&asked), [("minute", 60, 60), ("hour", 1_000, 3_600)]);
    let asked = asked.lock().unwrap();
    assert!(asked[0].iter().all(|counter| counter.subject == LimitSubject::User(USER)));
}

#[tokio::test]
async fn a_key_has_a_limit_of_its_own_beside_its_owners() {
    let (limits, asked) = counted_by(limiter(admitted), RULES);

    limits.admit(LimitClass::Requests, &actor(key(Some(5)))).await;
    limits.admit(LimitClass::Requests, &actor(key(None))).await;

    let asked = asked.lock().unwrap();
    assert_eq!(asked[0].last().unwrap().subject, LimitSubject::Key(KEY));
    assert_eq!(asked[0].last().unwrap().quota.limit.get(), 5);
    assert_eq!((asked[0].len(), asked[1].len()), (3, 2));
}

#[tokio::test]
async fn an_address_may_ask_ten_times_as_much_and_less_of_what_is_delicate() {
    let (limits, asked) = counted_by(limiter(admitted), RULES);

    limits.admit_address(LimitClass::LogIns, &origin("192.0.2.1")).await;

    let any = [("address-minute", 600, 60), ("address-hour", 10_000, 3_600)];
    assert_eq!(names(&asked), [[("login", 20, 60)].as_slice(), any.as_slice()].concat());
    asked.lock().unwrap().clear();
    limits.admit_address(LimitClass::Requests, &origin("192.0.2.1")).await;
    assert_eq!(names(&asked), any);
    asked.lock().unwrap().clear();
    limits.admit_address(LimitClass::Requests, &Origin::default()).await;
    assert_eq!(names(&asked), []);
}

#[tokio::test]
async fn an_upload_is_counted_for_its_user_and_as_a_request() {
    let (limits, asked) = counted_by(limiter(admitted), RULES);

    limits.admit(LimitClass::Uploads, &actor(EXTERNAL)).await;
    assert_eq!(names(&asked), [("uploads", 30, 60), ("minute", 60, 60), ("hour", 1_000, 3_600)]);

    asked.lock().unwrap().clear();
    limits.admit_address(LimitClass::Uploads, &origin("192.0.2.1")).await;
    assert_eq!(names(&asked), [("address-minute", 600, 60), ("address-hour", 10_000, 3_600)]);
}

#[tokio::test]
async fn a_guest_is_an_address() {
    let (limits, asked) = counted_by(limiter(admitted), RULES);

    limits.admit(LimitClass::Requests, &actor(Credential::Guest)).await;

    assert_eq!(names(&asked), [("guests", 20, 60)]);
    let subject = asked.lock().unwrap()[0][0].subject;
    assert_eq!(subject, LimitSubject::Address(AddressBlock::of("192.0.2.1".parse().unwrap())));
}

#[tokio::test]
async fn zero_is_no_limit() {
    let (limits, asked) = counted_by(limiter(refused), LimitRules::default());

    assert_eq!(limits.admit(LimitClass::Requests, &actor(EXTERNAL)).await, Decision::default());
    assert_eq!(limits.admit(LimitClass::Requests, &actor(key(Some(0)))).await, Decision::default());
    for class in [LimitClass::Requests, LimitClass::LogIns, LimitClass::Resets] {
        assert!(limits.admit_address(class, &origin("192.0.2.1")).await.is_admitted());
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_the_shared_limiter_accounts_are_guarded_here_and_the_rest_is_open() {
    let (shared, _) = limiter(away);
    let (local, asked) = limiter(admitted);
    let limits = service(local, Some(shared), MockAuditRecorder::new(), RULES);

    assert!(limits.admit(LimitClass::Requests, &actor(EXTERNAL)).await.is_admitted());
    limits.admit_address(LimitClass::LogIns, &origin("192.0.2.1")).await;

    assert_eq!(names(&asked), [("login", 20, 60)]);
}

fn is_entry(counters: &[Counter]) -> bool {
    matches!(counters[0].class, LimitClass::Entries(_))
}

/// Refuses every request, and one entry after the first.
fn refusing() -> (Arc<MockRateLimiter>, Asked) {
    let is_told = Mutex::new(false);
    limiter(move |counters| {
        let is_entry = is_entry(counters);
        let is_first = is_entry && !std::mem::replace(&mut *is_told.lock().unwrap(), true);
        if is_first { admitted(counters) } else { refused(counters) }
    })
}

async fn is_refused(limits: &LimitService) {
    let decision = limits.admit(LimitClass::Requests, &actor(EXTERNAL)).await;
    let error = decision.admitted().unwrap_err();
    assert_eq!(error.classify().1, "rate_limited");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn a_limit_that_is_hit_is_recorded_once_a_window() {
    for is_shared in [false, true] {
        let mut audit = MockAuditRecorder::new();
        audit.expect_record().once().returning(|entry| {
            assert_eq!((entry.action, entry.outcome), (Action::RateLimitHit, AuditOutcome::Denied));
            assert_eq!(entry.actor, AuditActor::User(USER));
            assert_eq!(entry.details["quota"], "hour", "what takes longest");
            assert_eq!(entry.personal.ip_address.as_deref(), Some("192.0.2.1"));
            Ok(())
        });
        let shared = is_shared.then(|| refusing().0);
        let limits = service(refusing().0, shared, audit, RULES);

        for _ in 0..3 {
            is_refused(&limits).await;
        }
    }
}

#[tokio::test]
async fn what_another_process_recorded_is_not_recorded_again() {
    let (shared, _) = limiter(refused);
    // The audit log expects nothing.
    let limits = service(refusing().0, Some(shared), MockAuditRecorder::new(), RULES);

    is_refused(&limits).await;
}

#[tokio::test]
async fn a_limit_that_is_hit_hides_no_other() {
    let origin = origin("192.0.2.1");
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut audit = MockAuditRecorder::new();
    let log = Arc::clone(&told);
    audit.expect_record().returning(move |entry| {
        log.lock().unwrap().push(entry.details["class"].clone());
        Ok(())
    });
    // Refuses what is asked, and of each counter every entry after the first.
    let counted = Mutex::new(Vec::new());
    let (local, _) = limiter(move |counters| {
        let mut counted = counted.lock().unwrap();
        if !is_entry(counters) || counted.contains(&counters[0]) {
            return refused(counters);
        }
        counted.push(counters[0]);
        admitted(counters)
    });
    // All by the hour, of one address: told apart by their class alone.
    let rules = LimitRules { requests_per_hour: 1, ..LimitRules::default() };
    let rules = LimitRules { registrations_per_hour: 20, resets_per_hour: 20, ..rules };
    let limits = service(local, None, audit, rules);

    for class in [LimitClass::Registrations, LimitClass::Resets, LimitClass::Requests] {
        for _ in 0..2 {
            limits.admit_address(class, &origin).await;
        }
    }

    assert_eq!(*told.lock().unwrap(), ["register", "reset", "requests"]);
}
