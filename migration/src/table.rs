//! Words that the steps share.
//!
//! Columns have the types that both databases keep exactly: UUIDs are 16 bytes on SQLite and
//! `uuid` on PostgreSQL, instants sort as text on SQLite and are `timestamptz` on PostgreSQL,
//! numbers are 64 bits wide. JSON that belongs to a client is text: `jsonb` would reorder it.

use sea_orm_migration::prelude::*;

/// The rows go with the row that they point at, or stop pointing.
pub(crate) fn reference(
    table: &'static str,
    column: &'static str,
    target: &'static str,
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_{column}_fkey"))
        .from(table, column)
        .to(target, "id")
        .on_delete(on_delete)
        .take()
}

/// An index named as PostgreSQL would name it.
pub(crate) fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    named(table, columns, "idx")
}

/// A unique index. Its name tells the adapter which field is taken.
pub(crate) fn unique(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    named(table, columns, "key").unique().take()
}

fn named(
    table: &'static str,
    columns: &[&'static str],
    suffix: &'static str,
) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("{table}_{}_{suffix}", columns.join("_"))).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

/// Drops tables, those that point at others first.
pub(crate) async fn drop_all(
    manager: &SchemaManager<'_>,
    tables: &[&'static str],
) -> Result<(), DbErr> {
    for table in tables {
        manager.drop_table(Table::drop().table(*table).take()).await?;
    }
    Ok(())
}
