//! Writes to SQLite that share a commit do not share their fate.

use std::pin::pin;

use futures::{FutureExt, future::BoxFuture, join};
use repartee_application::ports::PortError;
use repartee_infrastructure::persistence::{Database, Transaction};
use sea_orm::ConnectionTrait;
use tokio::sync::oneshot;

use crate::databases::TestDatabase;

type Work<'t> = BoxFuture<'t, Result<(), PortError>>;

/// Runs a test with a table of notes.
async fn with_notes(test: impl AsyncFnOnce(&TestDatabase)) {
    let db = TestDatabase::sqlite().await;
    db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, about TEXT REFERENCES users (id))")
        .await;
    db.run(test).await;
}

fn note(id: i32) -> impl for<'t> FnOnce(&'t Transaction) -> Work<'t> + Send + 'static {
    move |tx| Box::pin(async move { insert(tx, id).await })
}

async fn insert(tx: &Transaction, id: i32) -> Result<(), PortError> {
    let sql = format!("INSERT INTO notes (id) VALUES ({id})");
    let inserted = tx.execute_unprepared(&sql).await;
    inserted.map(drop).map_err(|error| PortError::Unavailable(error.into()))
}

/// Holds the writer up until everything in `writes` has been asked for, so that it shares a commit.
async fn in_one_commit<T>(db: &Database, writes: impl Future<Output = T>) -> T {
    let (open, gate) = oneshot::channel::<()>();
    let (hold, held) = oneshot::channel();
    let hold_up = db.write(move |_| {
        Box::pin(async move {
            hold.send(()).unwrap();
            gate.await.map_err(|error| PortError::Unavailable(error.into()))
        })
    });
    let writes = async {
        held.await.unwrap();
        let mut writes = pin!(writes);
        assert!(writes.as_mut().now_or_never().is_none());
        open.send(()).unwrap();
        writes.await
    };
    let (held_up, result) = join!(hold_up, writes);
    held_up.unwrap();
    result
}

async fn notes(db: &TestDatabase) -> i64 {
    db.count("notes").await
}

#[tokio::test]
async fn a_failing_write_does_not_undo_its_neighbours() {
    with_notes(async |db| {
        let writes = async {
            join!(
                db.db.write(note(1)),
                db.db.write(|tx| Box::pin(async move {
                    insert(tx, 10).await?;
                    Err::<(), _>(PortError::Stale)
                })),
                db.db.write(note(2)),
            )
        };
        let (one, failing, two) = in_one_commit(&db.db, writes).await;

        one.unwrap();
        assert!(matches!(failing, Err(PortError::Stale)));
        two.unwrap();
        assert_eq!(notes(db).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_failure_at_the_end_of_a_batch_is_undone_too() {
    with_notes(async |db| {
        let writes = async {
            join!(
                db.db.write(note(1)),
                db.db.write(|tx| Box::pin(async move {
                    insert(tx, 10).await?;
                    insert(tx, 1).await
                })),
            )
        };
        let (one, failing) = in_one_commit(&db.db, writes).await;

        one.unwrap();
        assert!(matches!(failing, Err(PortError::Unavailable(_))));
        assert_eq!(notes(db).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_write_that_fails_alone_leaves_nothing() {
    with_notes(async |db| {
        let failed = db
            .db
            .write(|tx| {
                Box::pin(async move {
                    insert(tx, 1).await?;
                    Err::<(), _>(PortError::Stale)
                })
            })
            .await;

        assert!(matches!(failed, Err(PortError::Stale)));
        assert_eq!(notes(db).await, 0);
        db.db.write(note(1)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_write_that_panics_does_not_hurt_others() {
    with_notes(async |db| {
        let writes = async {
            join!(
                db.db.write(note(1)),
                db.db.write(|tx| Box::pin(async move {
                    insert(tx, 10).await?;
                    panic!("on purpose") as Result<(), PortError>
                })),
                db.db.write(note(2)),
            )
        };
        let (one, panicking, two) = in_one_commit(&db.db, writes).await;

        assert!(matches!(panicking, Err(PortError::Unavailable(_))));
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(notes(db).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nothing_with_it() {
    with_notes(async |db| {
        let writes = async {
            join!(
                db.db.write(note(1)),
                // Asks, and is dropped before there is an answer.
                async { Box::pin(db.db.write(note(10))).now_or_never() },
                db.db.write(note(2)),
            )
        };
        let (one, left, two) = in_one_commit(&db.db, writes).await;

        assert!(left.is_none());
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(notes(db).await, 3);
    })
    .await;
}

#[tokio::test]
async fn nobody_is_told_that_a_failed_commit_worked() {
    with_notes(async |db| {
        let writes = async {
            join!(
                db.db.write(note(1)),
                // A deferred foreign key fails at the commit.
                db.db.write(|tx| Box::pin(async move {
                    tx.execute_unprepared("PRAGMA defer_foreign_keys = ON").await.unwrap();
                    tx.execute_unprepared("INSERT INTO notes VALUES (2, 'x')").await.unwrap();
                    Ok(())
                })),
            )
        };
        let (one, breaking) = in_one_commit(&db.db, writes).await;

        assert!(matches!(one, Err(PortError::Unavailable(_))));
        assert!(matches!(breaking, Err(PortError::Unavailable(_))));
        assert_eq!(notes(db).await, 0);
        db.db.write(note(1)).await.unwrap();
        assert_eq!(notes(db).await, 1);
    })
    .await;
}

#[tokio::test]
async fn closing_finishes_the_writes_that_wait() {
    with_notes(async |db| {
        let writes = async { join!(db.db.write(note(1)), db.db.close()) };
        let (one, closed) = in_one_commit(&db.db, writes).await;

        assert!(one.is_ok() && closed.is_ok());
        assert!(matches!(db.db.write(note(2)).await, Err(PortError::Unavailable(_))));
        assert!(matches!(db.db.ping().await, Err(PortError::Unavailable(_))));
    })
    .await;
}
