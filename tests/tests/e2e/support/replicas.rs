//! Several servers on one database, with a Redis between them and without.

/// Makes two tests of an `async fn(Setup)` in the same module, on PostgreSQL: with Redis and without.
macro_rules! on_replicas {
    ($($name:ident),+ $(,)?) => {
        mod with_redis {
            $(#[tokio::test]
            async fn $name() {
                use repartee_tests::server::{Engine, Setup};
                super::$name(Setup::on(Engine::Postgres).with_redis()).await;
            })+
        }

        mod without_redis {
            $(#[tokio::test]
            async fn $name() {
                use repartee_tests::server::{Engine, Setup};
                super::$name(Setup::on(Engine::Postgres)).await;
            })+
        }
    };
}
pub(crate) use on_replicas;
