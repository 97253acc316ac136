//! A database for each test, on either of the two.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures::FutureExt;
use repartee_infrastructure::{
    persistence::{
        Database, DatabaseSettings, SeaAuditLog, SeaAuditRecorder, SeaConversationRepository,
        SeaFeedLog, SeaFileRepository, SeaGuestRepository, SeaIdempotencyKeys, SeaLinkRepository,
        SeaLoginFailureRepository, SeaLoginSessionRepository, SeaMessageRepository,
        SeaObjectLedger, SeaPersonaRepository, SeaProjectConversations, SeaProjectRepository,
        SeaPromptRepository, SeaSearchIndex, SeaShapeRepository, SeaSharedLinkRepository,
        SeaTicketRepository, SeaTransferRepository, SeaTurnRepository, SeaUserDirectory,
        SeaUserRepository,
    },
    system::TrackedSpawner,
};
use sea_orm::ConnectionTrait;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::runtime::Handle;

/// Makes a test on each database of an `async fn(&TestDatabase)` in the same module.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let db = $crate::databases::TestDatabase::sqlite().await;
                db.run(async |db| super::$name(db).await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                let db = $crate::databases::TestDatabase::postgres().await;
                db.run(async |db| super::$name(db).await).await;
            })+
        }
    };
}
pub(crate) use on_both_databases;

/// A database with its schema.
pub(crate) struct TestDatabase {
    pub(crate) db: Database,
    pub(crate) tasks: TrackedSpawner,
    server: Server,
}

pub(crate) enum Server {
    Sqlite(TempDir),
    Postgres { server: String, name: String },
}

impl TestDatabase {
    pub(crate) async fn sqlite() -> Self {
        Self::migrated(Server::sqlite()).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::migrated(Server::postgres().await).await
    }

    async fn migrated(server: Server) -> Self {
        let db = server.connect().await;
        db.migrate_up().await.unwrap();
        Self { db, tasks: TrackedSpawner::new(Handle::current()), server }
    }

    /// Runs a test, and leaves nothing behind however it ends.
    pub(crate) async fn run(self, test: impl AsyncFnOnce(&Self)) {
        let result = AssertUnwindSafe(test(&self)).catch_unwind().await;
        self.tasks.close_and_wait().await;
        self.db.close().await.unwrap();
        self.server.remove().await;
        if let Err(panic) = result {
            resume_unwind(panic);
        }
    }

    pub(crate) fn users(&self) -> SeaUserRepository {
        SeaUserRepository::new(self.db.clone())
    }

    /// Each is as good as another process: it shares nothing with the others but the database.
    pub(crate) fn sessions(&self) -> SeaLoginSessionRepository {
        SeaLoginSessionRepository::new(self.db.clone())
    }

    pub(crate) fn conversations(&self) -> SeaConversationRepository {
        SeaConversationRepository::new(self.db.clone())
    }

    pub(crate) fn messages(&self) -> SeaMessageRepository {
        SeaMessageRepository::new(self.db.clone())
    }

    pub(crate) fn personas(&self) -> SeaPersonaRepository {
        SeaPersonaRepository::new(self.db.clone())
    }

    pub(crate) fn projects(&self) -> SeaProjectRepository {
        SeaProjectRepository::new(self.db.clone())
    }

    pub(crate) fn running(&self) -> SeaProjectConversations {
        SeaProjectConversations::new(self.db.clone())
    }

    pub(crate) fn prompts(&self) -> SeaPromptRepository {
        SeaPromptRepository::new(self.db.clone())
    }

    pub(crate) fn search(&self) -> SeaSearchIndex {
        SeaSearchIndex::new(self.db.clone())
    }

    pub(crate) fn files(&self) -> SeaFileRepository {
        SeaFileRepository::new(self.db.clone())
    }

    pub(crate) fn ledger(&self) -> SeaObjectLedger {
        SeaObjectLedger::new(self.db.clone())
    }

    pub(crate) fn shapes(&self) -> SeaShapeRepository {
        SeaShapeRepository::new(self.db.clone())
    }

    pub(crate) fn shared_links(&self) -> SeaSharedLinkRepository {
        SeaSharedLinkRepository::new(self.db.clone())
    }

    pub(crate) fn transfers(&self) -> SeaTransferRepository {
        SeaTransferRepository::new(self.db.clone())
    }

    pub(crate) fn turns(&self) -> SeaTurnRepository {
        SeaTurnRepository::new(self.db.clone())
    }

    pub(crate) fn feed(&self) -> SeaFeedLog {
        SeaFeedLog::new(self.db.clone(), Arc::new(self.tasks.clone()))
    }

    pub(crate) fn guests(&self) -> SeaGuestRepository {
        SeaGuestRepository::new(self.db.clone())
    }

    pub(crate) fn keys(&self) -> SeaIdempotencyKeys {
        SeaIdempotencyKeys::new(self.db.clone())
    }

    pub(crate) fn audit_log(&self) -> SeaAuditLog {
        SeaAuditLog::new(self.db.clone())
    }

    pub(crate) fn audit_recorder(&self) -> SeaAuditRecorder {
        SeaAuditRecorder::new(self.db.clone())
    }

    pub(crate) fn failures(&self) -> SeaLoginFailureRepository {
        SeaLoginFailureRepository::new(self.db.clone())
    }

    pub(crate) fn links(&self) -> SeaLinkRepository {
        SeaLinkRepository::new(self.db.clone())
    }

    pub(crate) fn directory(&self) -> SeaUserDirectory {
        SeaUserDirectory::new(self.db.clone())
    }

    pub(crate) fn tickets(&self) -> SeaTicketRepository {
        SeaTicketRepository::new(self.db.clone())
    }

    /// Another handle on the same database, as good as another process. PostgreSQL only.
    pub(crate) async fn elsewhere(&self) -> Database {
        self.server.connect().await
    }

    pub(crate) async fn execute(&self, sql: impl Into<String>) {
        let sql = sql.into();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    tx.execute_unprepared(&sql).await.unwrap();
                    Ok(())
                })
            })
            .await
            .unwrap();
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) AS n FROM {table}");
        let backend = self.db.reader().get_database_backend();
        let statement = sea_orm::Statement::from_string(backend, sql);
        let row = self.db.reader().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get("", "n").unwrap()
    }
}

impl Server {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// A database that is not there yet.
    pub(crate) async fn postgres() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("repartee test {} {number}", std::process::id());
        let this = Self::Postgres { server: postgres_server(), name };
        // Left by a run that was killed.
        this.drop_database().await;
        this
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => {
                let file = folder.path().join("data folder/chat.db");
                format!("sqlite://{}?mode=rwc", file.display())
            }
            Self::Postgres { server, name } => {
                let (server, rest) = server.rsplit_once('/').unwrap();
                let parameters = rest.find('?').map_or("", |at| &rest[at..]);
                format!("{server}/{}{parameters}", name.replace(' ', "%20"))
            }
        }
    }

    pub(crate) async fn connect(&self) -> Database {
        let settings = DatabaseSettings { url: self.url().into(), max_connections: 8 };
        Database::connect(&settings).await.unwrap()
    }

    pub(crate) async fn remove(self) {
        self.drop_database().await;
    }

    async fn drop_database(&self) {
        let Self::Postgres { server, name } = self else { return };
        let mut connection = match PgConnection::connect(server).await {
            Ok(connection) => connection,
            Err(error) => panic!("{server} does not answer (REPARTEE_TEST_POSTGRES): {error}"),
        };
        let sql = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
        connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read it from")]
fn postgres_server() -> String {
    std::env::var("REPARTEE_TEST_POSTGRES")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable".into())
}
