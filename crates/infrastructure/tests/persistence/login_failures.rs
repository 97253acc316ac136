//! The contract of `LoginFailureRepository`.

use futures::future::join_all;
use repartee_application::ports::{LoginFailureRepository, LoginFailures, NameHash};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{at, entry},
};

on_both_databases!(
    the_fifth_failure_in_a_row_makes_a_name_wait,
    of_many_failures_at_once_each_is_counted_and_told,
    a_success_begins_anew,
    names_that_failed_long_ago_are_forgotten_by_portions,
);

const NAME: NameHash = NameHash([1; 32]);

async fn failures(db: &TestDatabase) -> Option<LoginFailures> {
    db.failures().find(NAME).await.unwrap()
}

async fn the_fifth_failure_in_a_row_makes_a_name_wait(db: &TestDatabase) {
    assert_eq!(failures(db).await, None);
    for (count, wait) in [(1, None), (2, None), (3, None), (4, None), (5, Some(1)), (6, Some(2))] {
        let second = i64::from(count) * 10;
        db.failures().count(NAME, at(second), entry()).await.unwrap();
        let wait_until = wait.map(|wait| at(second + wait));
        assert_eq!(failures(db).await, Some(LoginFailures { failures: count, wait_until }));
    }
    assert_eq!(db.failures().find(NameHash([2; 32])).await.unwrap(), None);
}

async fn of_many_failures_at_once_each_is_counted_and_told(db: &TestDatabase) {
    let repository = db.failures();
    let counted = join_all((0..20).map(|_| repository.count(NAME, at(0), entry()))).await;

    assert!(counted.iter().all(Result::is_ok));
    let wait_until = Some(at(900));
    assert_eq!(failures(db).await, Some(LoginFailures { failures: 20, wait_until }));
    assert_eq!(db.count("audit_logs").await, 20);
}

async fn a_success_begins_anew(db: &TestDatabase) {
    for _ in 0..7 {
        db.failures().count(NAME, at(0), entry()).await.unwrap();
    }
    db.failures().clear(NAME).await.unwrap();
    assert_eq!(failures(db).await, None);

    db.failures().count(NAME, at(1), entry()).await.unwrap();
    assert_eq!(failures(db).await, Some(LoginFailures { failures: 1, wait_until: None }));
}

async fn names_that_failed_long_ago_are_forgotten_by_portions(db: &TestDatabase) {
    let repository = db.failures();
    for n in 0..5 {
        repository.count(NameHash([n; 32]), at(n.into()), entry()).await.unwrap();
    }
    assert_eq!(repository.forget(at(4), 3).await.unwrap(), 3);
    assert_eq!(repository.forget(at(4), 3).await.unwrap(), 1);
    assert!(repository.find(NameHash([4; 32])).await.unwrap().is_some());
}
