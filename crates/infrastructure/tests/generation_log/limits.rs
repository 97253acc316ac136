//! The contract of `RateLimiter`, in this process and in Redis.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use repartee_application::ports::{
    Counter, Decision, IdGenerator, LimitClass, LimitSubject, PortError, RateLimiter,
};
use repartee_domain::{ApiKeyId, UserId, limits::Quota};
use repartee_infrastructure::{
    limits::LocalRateLimiter,
    redis::RedisRateLimiter,
    system::{SystemClock, SystemIds},
};
use tokio::time::Instant;

use crate::server::{Server, connect, eventually, shared_url};

macro_rules! on_both_limiters {
    ($($name:ident),+ $(,)?) => {
        mod local {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::local()).await;
            })+
        }

        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::shared(&super::shared_url()).await).await;
            })+
        }
    };
}

on_both_limiters!(
    so_many_are_let_in_and_the_rest_learn_when_to_come,
    what_is_too_much_for_one_counts_for_none,
    of_many_at_once_no_more_than_the_limit_are_let_in,
    classes_subjects_and_windows_are_counted_apart,
    time_makes_room_again,
    nothing_to_count_is_let_in,
);

fn local() -> LocalRateLimiter {
    LocalRateLimiter::new(Arc::new(SystemClock))
}

/// As good as without a limit: how long an answer takes is the machine's to say.
const PATIENT: Duration = Duration::from_secs(10);

async fn shared(url: &str) -> RedisRateLimiter {
    RedisRateLimiter::new(connect(url).await, PATIENT)
}

fn quota(limit: u32, window: Duration) -> Quota {
    Quota::named("test", limit, window).unwrap()
}

/// An hour is long enough for nothing to come back during a test.
fn counter(limit: u32) -> Counter {
    Counter {
        class: LimitClass::Requests,
        subject: LimitSubject::User(UserId::from_uuid(SystemIds::new().unwrap().id())),
        quota: quota(limit, Duration::from_hours(1)),
    }
}

fn remaining(decision: &Decision) -> Vec<u32> {
    decision.levels.iter().map(|level| level.remaining).collect()
}

async fn admitted(limiter: &dyn RateLimiter, counter: Counter) -> usize {
    let mut count = 0;
    while limiter.check(&[counter]).await.unwrap().is_admitted() {
        count += 1;
    }
    count
}

async fn so_many_are_let_in_and_the_rest_learn_when_to_come(limiter: &dyn RateLimiter) {
    let counter = counter(3);
    for left in [2, 1, 0] {
        let decision = limiter.check(&[counter]).await.unwrap();
        assert_eq!((decision.retry_after, remaining(&decision)), (None, vec![left]));
        let reset = decision.levels[0].reset;
        // In whole minutes, a moment after the first.
        assert_eq!(reset.as_secs().div_ceil(60), u64::from(3 - left) * 20, "{reset:?}");
    }
    for _ in 0..2 {
        let decision = limiter.check(&[counter]).await.unwrap();
        let wait = decision.retry_after.unwrap();
        assert!((1_140..=1_200).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(remaining(&decision), [0]);
    }
}

async fn what_is_too_much_for_one_counts_for_none(limiter: &dyn RateLimiter) {
    let (few, many) = (counter(1), counter(10));
    assert!(limiter.check(&[many, few]).await.unwrap().is_admitted());
    for _ in 0..5 {
        let decision = limiter.check(&[many, few]).await.unwrap();
        assert!(!decision.is_admitted());
        assert_eq!(remaining(&decision), [9, 0]);
    }
    assert_eq!(admitted(limiter, many).await, 9);
}

async fn of_many_at_once_no_more_than_the_limit_are_let_in(limiter: &dyn RateLimiter) {
    let counter = counter(20);
    let checks = join_all((0..100).map(|_| async { limiter.check(&[counter]).await })).await;
    let admitted = checks.into_iter().filter(|check| check.as_ref().unwrap().is_admitted());
    assert_eq!(admitted.count(), 20);
}

async fn classes_subjects_and_windows_are_counted_apart(limiter: &dyn RateLimiter) {
    let first = counter(1);
    let LimitSubject::User(user) = first.subject else { panic!("a user") };
    let key = LimitSubject::Key(ApiKeyId::from_uuid(user.as_uuid()));
    let minute = quota(1, Duration::from_mins(1));
    for other in [
        first,
        Counter { class: LimitClass::LogIns, ..first },
        Counter { class: LimitClass::Entries("login"), ..first },
        Counter { class: LimitClass::Entries("requests"), ..first },
        Counter { subject: key, ..first },
        Counter { quota: minute, ..first },
        counter(1),
    ] {
        assert_eq!(admitted(limiter, other).await, 1, "{other:?}");
    }
    // One by any name: of class, subject and window.
    let renamed = Quota { name: "other", ..first.quota };
    assert_eq!(admitted(limiter, Counter { quota: renamed, ..first }).await, 0);
}

async fn time_makes_room_again(limiter: &dyn RateLimiter) {
    let second = Counter { quota: quota(1, Duration::from_secs(1)), ..counter(1) };
    let began = Instant::now();
    assert!(limiter.check(&[second]).await.unwrap().is_admitted());
    eventually(async || limiter.check(&[second]).await.unwrap().is_admitted().then_some(())).await;
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}

async fn nothing_to_count_is_let_in(limiter: &dyn RateLimiter) {
    assert_eq!(limiter.check(&[]).await.unwrap(), Decision::default());
}

#[tokio::test]
async fn processes_that_share_redis_share_the_count() {
    let (a, b) = (shared(&shared_url()).await, shared(&shared_url()).await);
    let counter = counter(10);
    assert!(a.check(&[counter]).await.unwrap().is_admitted());
    assert_eq!(admitted(&b, counter).await, 9);
    assert!(!a.check(&[counter]).await.unwrap().is_admitted());
}

#[tokio::test]
async fn what_is_kept_in_redis_goes_by_itself_and_names_no_address() {
    let server = Server::start().await;
    let limiter = shared(&server.url()).await;
    let address = repartee_domain::network::AddressBlock::of("192.0.2.77".parse().unwrap());
    let counter = Counter { subject: LimitSubject::Address(address), ..counter(60) };
    limiter.check(&[counter]).await.unwrap();

    let keys: Vec<String> =
        ::redis::from_redis_value(server.command(&["KEYS", "*"]).await).unwrap();

    assert_eq!(keys.len(), 1);
    assert!(keys[0].starts_with("repartee:limits:requests:address:"), "{}", keys[0]);
    assert!(!keys[0].contains("192.0.2"), "{}", keys[0]);
    let left: i64 = ::redis::from_redis_value(server.command(&["PTTL", &keys[0]]).await).unwrap();
    assert!((1..=60_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_redis_that_is_away_is_told_soon_and_not_asked_by_everybody() {
    let mut server = Server::start().await;
    let redis = connect(&server.url()).await;
    let limiter = RedisRateLimiter::new(redis, RedisRateLimiter::ANSWER_WITHIN);
    let counter = counter(100);
    eventually(async || limiter.check(&[counter]).await.ok()).await;

    server.hang();
    let began = Instant::now();
    for _ in 0..1_000 {
        assert!(matches!(limiter.check(&[counter]).await, Err(PortError::Unavailable(_))));
    }
    // Asking every time would take four minutes.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    server.go_on();
    eventually(async || limiter.check(&[counter]).await.ok()).await;

    server.kill();
    assert!(limiter.check(&[counter]).await.is_err());
    server.start_again().await;
    let decision = eventually(async || limiter.check(&[counter]).await.ok()).await;
    // What was asked meanwhile and not answered in time may be counted.
    let left = remaining(&decision);
    assert!(left[0] >= 90, "it has forgotten everything, its script too: {left:?}");
}
