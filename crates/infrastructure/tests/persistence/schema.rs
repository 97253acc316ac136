//! Connecting, and the steps of the schema.

use futures::join;
use repartee_application::ports::{DatabaseProbe, PortError, UserRepository};
use repartee_infrastructure::persistence::{Database, DatabaseError, DatabaseSettings};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sqlx::{Connection, PgConnection};

use crate::{
    databases::{Server, TestDatabase, on_both_databases},
    fixtures::user_id,
};

on_both_databases!(
    every_step_can_be_taken_back,
    a_failed_write_leaves_nothing,
    a_database_that_answers_is_reachable,
    every_foreign_key_has_an_index,
);

async fn applied(db: &Database) -> Vec<bool> {
    db.migration_status().await.unwrap().iter().map(|step| step.is_applied).collect()
}

async fn every_step_can_be_taken_back(db: &TestDatabase) {
    db.with_user(1).await;
    let steps = applied(&db.db).await;
    assert!(steps.iter().all(|is_applied| *is_applied));

    for left in (0..steps.len()).rev() {
        db.db.migrate_down(1).await.unwrap();
        assert_eq!(applied(&db.db).await.iter().filter(|is_applied| **is_applied).count(), left);
    }
    db.db.migrate_up().await.unwrap();

    assert_eq!(applied(&db.db).await, steps);
    db.with_user(1).await;
    assert!(db.users().find(user_id(1)).await.unwrap().is_some());
}

async fn a_failed_write_leaves_nothing(db: &TestDatabase) {
    let failed: Result<(), _> = db
        .db
        .write(|tx| {
            Box::pin(async move {
                tx.execute_unprepared("CREATE TABLE notes (id INTEGER)").await.unwrap();
                Err(PortError::Stale)
            })
        })
        .await;

    assert!(matches!(failed, Err(PortError::Stale)));
    db.execute("CREATE TABLE notes (id INTEGER)").await;
}

async fn a_database_that_answers_is_reachable(db: &TestDatabase) {
    assert!(db.db.is_reachable().await);
    db.db.close().await.unwrap();
    assert!(!db.db.is_reachable().await);
}

/// Each foreign key is the beginning of some index, or deleting a row reads a whole table.
async fn every_foreign_key_has_an_index(db: &TestDatabase) {
    let missing = match db.db.reader().get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT t.name || '.' || k.\"from\" AS missing FROM sqlite_schema t, \
             pragma_foreign_key_list(t.name) k WHERE t.type = 'table' AND NOT EXISTS (\
             SELECT 1 FROM pragma_index_list(t.name) i, pragma_index_info(i.name) c \
             WHERE i.partial = 0 AND c.seqno = 0 AND c.name = k.\"from\")"
        }
        _ => {
            "SELECT c.conname::text AS missing FROM pg_constraint c WHERE c.contype = 'f' \
             AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid \
             AND i.indpred IS NULL AND i.indkey[0] = c.conkey[1])"
        }
    };
    let statement = Statement::from_string(db.db.reader().get_database_backend(), missing);
    let rows = db.db.reader().query_all_raw(statement).await.unwrap();
    let missing: Vec<String> = rows.iter().map(|row| row.try_get("", "missing").unwrap()).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[tokio::test]
async fn replicas_that_start_at_once_migrate_once() {
    let server = Server::postgres().await;
    // The database is missing as well: both try to create it.
    let (one, two) = join!(server.connect(), server.connect());

    let (first, second) = join!(one.migrate_up(), two.migrate_up());

    let (one_closed, two_closed) = join!(one.close(), two.close());
    server.remove().await;
    assert!(first.is_ok() && second.is_ok() && one_closed.is_ok() && two_closed.is_ok());
}

#[tokio::test]
async fn a_missing_postgresql_database_is_created() {
    let server = Server::postgres().await;
    assert!(PgConnection::connect(&server.url()).await.is_err());

    let db = server.connect().await;

    let is_reachable = db.is_reachable().await;
    db.close().await.unwrap();
    server.remove().await;
    assert!(is_reachable);
}

#[tokio::test]
async fn one_process_at_a_time_uses_a_sqlite_database() {
    let server = Server::sqlite();
    let first = server.connect().await;
    assert!(first.is_single_process());
    let settings = DatabaseSettings { url: server.url().into(), max_connections: 2 };

    let refused = Database::connect(&settings).await.err().unwrap();
    assert!(matches!(&refused, DatabaseError::InUse { path } if path.ends_with("chat.db")));
    assert!(refused.to_string().ends_with("chat.db is in use by another process"));

    first.close().await.unwrap();
    Database::connect(&settings).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn migrating_twice_at_once_is_fine_within_a_process_too() {
    let server = Server::sqlite();
    let db = server.connect().await;

    let (first, second) = join!(db.migrate_up(), db.migrate_up());

    assert!(first.is_ok() && second.is_ok());
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_database_in_memory_is_one_for_all_its_connections() {
    let settings = DatabaseSettings { url: "sqlite::memory:".into(), max_connections: 4 };
    let (one, two) = join!(Database::connect(&settings), Database::connect(&settings));
    let (one, two) = (one.unwrap(), two.unwrap());

    one.migrate_up().await.unwrap();

    assert!(applied(&one).await.iter().all(|is_applied| *is_applied));
    assert!(applied(&two).await.iter().all(|is_applied| !is_applied));
}

#[tokio::test]
async fn an_error_does_not_show_the_password() {
    for url in ["postgres://chat:hunter2@127.0.0.1:1/chat", "mysql://chat:hunter2@localhost/chat"] {
        let settings = DatabaseSettings { url: url.into(), max_connections: 1 };

        let error = Database::connect(&settings).await.err().unwrap();

        assert!(!format!("{error} {error:?} {settings:?}").contains("hunter2"));
    }
}
