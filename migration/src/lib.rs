//! The schema, step by step, for SQLite and PostgreSQL.
//!
//! A step that was released is never edited: what has to change is another step.

use sea_orm_migration::prelude::*;

mod m20261121_000001_first_conversation;
mod m20261121_000002_many_subscribers;
mod m20261121_000003_who_is_calling;
mod m20261121_000004_what_shapes_a_reply;
mod m20261121_000005_much_at_once;
mod m20261121_000006_feedback;
mod m20261121_000007_completions;
mod m20261121_000008_branches;
mod m20261121_000009_search;
mod m20261121_000010_files;
mod m20261121_000011_shared_links;
mod m20261121_000012_titles;
mod table;

pub use sea_orm_migration::{MigrationStatus, MigratorTrait};

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_first_conversation::Migration),
            Box::new(m20261121_000002_many_subscribers::Migration),
            Box::new(m20261121_000003_who_is_calling::Migration),
            Box::new(m20261121_000004_what_shapes_a_reply::Migration),
            Box::new(m20261121_000005_much_at_once::Migration),
            Box::new(m20261121_000006_feedback::Migration),
            Box::new(m20261121_000007_completions::Migration),
            Box::new(m20261121_000008_branches::Migration),
            Box::new(m20261121_000009_search::Migration),
            Box::new(m20261121_000010_files::Migration),
            Box::new(m20261121_000011_shared_links::Migration),
            Box::new(m20261121_000012_titles::Migration),
        ]
    }
}
