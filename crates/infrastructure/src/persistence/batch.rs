//! Statements that belong together: each writes the rows that it should, or none of them counts.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, Statement, Value,
    sea_query::{Expr, SimpleExpr},
};

use super::Transaction;

pub(super) struct Batch {
    backend: DbBackend,
    statements: Vec<Statement>,
    rows: u64,
    /// On PostgreSQL: what waits for the next statement.
    beside: Vec<Beside>,
}

struct Beside {
    rows: u64,
    sql: &'static str,
    values: Vec<Value>,
}

impl Batch {
    pub(super) fn new(tx: &Transaction) -> Self {
        Self {
            backend: tx.get_database_backend(),
            statements: Vec::with_capacity(6),
            rows: 0,
            beside: Vec::new(),
        }
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.backend
    }

    /// A statement that has to write so many rows.
    #[must_use]
    pub(super) fn and(mut self, rows: u64, statement: Statement) -> Self {
        let statement = std::mem::take(&mut self.beside).into_iter().fold(statement, carrying);
        self.statements.push(statement);
        self.rows += rows;
        self
    }

    /// As [`Batch::and`], with a `?` for each value. It changes nothing that the next statement
    /// reads, and that one ends in a condition: PostgreSQL takes both in one trip.
    #[must_use]
    pub(super) fn beside(
        mut self,
        rows: u64,
        sql: &'static str,
        values: impl IntoIterator<Item = Value>,
    ) -> Self {
        if self.backend == DbBackend::Sqlite {
            let statement = statement(self.backend, sql, values);
            return self.and(rows, statement);
        }
        self.beside.push(Beside { rows, sql, values: values.into_iter().collect() });
        self
    }

    /// Runs them in order. `false` where some row was not there to be written: the transaction has
    /// to be undone then. None of them writes more rows than it should.
    pub(super) async fn run(self, tx: &Transaction) -> Result<bool, DbErr> {
        Ok(tx.execute_all(self.statements).await? == self.rows)
    }
}

/// A statement that another one goes with, and that writes nothing unless that wrote its rows.
fn carrying(main: Statement, beside: Beside) -> Statement {
    let mut values = main.values.map(|values| values.0).unwrap_or_default();
    let name = format!("beside_{}", values.len());
    let sql = numbered(beside.sql, values.len() + 1);
    values.extend(beside.values);
    // Another one may go with it already.
    let rest = match main.sql.strip_prefix("WITH ") {
        Some(rest) => format!(", {rest}"),
        None => format!(" {}", main.sql),
    };
    let rows = beside.rows;
    let sql = format!(
        "WITH {name} AS ({sql} RETURNING 1){rest} AND (SELECT COUNT(*) FROM {name}) = {rows}"
    );
    Statement::from_sql_and_values(main.db_backend, sql, values)
}

/// A statement with a `?` for each value, and no other question mark.
pub(super) fn statement(
    backend: DbBackend,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    if backend == DbBackend::Sqlite {
        return Statement::from_sql_and_values(backend, sql, values);
    }
    Statement::from_sql_and_values(backend, numbered(sql, 1), values)
}

/// As [`statement`], part of another one.
pub(super) fn condition(
    backend: DbBackend,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> SimpleExpr {
    let sql = if backend == DbBackend::Sqlite { sql.to_owned() } else { numbered(sql, 1) };
    Expr::cust_with_values(sql, values)
}

/// As PostgreSQL wants it.
fn numbered(sql: &str, first: usize) -> String {
    let mut parts = sql.split('?');
    let mut numbered = String::with_capacity(sql.len() + 32);
    numbered.push_str(parts.next().unwrap_or_default());
    for (number, part) in (first..).zip(parts) {
        numbered.push('$');
        numbered.push_str(&number.to_string());
        numbered.push_str(part);
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_written_as_each_database_wants_them() {
        let sql = "SELECT ? WHERE ? < ?";
        let values = || [1.into(), 2.into(), 3.into()];

        assert_eq!(statement(DbBackend::Sqlite, sql, values()).sql, sql);
        let numbered = "SELECT $1 WHERE $2 < $3";
        assert_eq!(statement(DbBackend::Postgres, sql, values()).sql, numbered);
    }

    #[test]
    fn statements_go_together_to_postgresql() {
        let postgres = DbBackend::Postgres;
        let main = statement(postgres, "UPDATE a SET b = ? WHERE c = ?", [1.into(), 2.into()]);
        let insert = |values: [Value; 1]| Beside {
            rows: 1,
            sql: "INSERT INTO d VALUES (?)",
            values: values.into(),
        };

        let both = carrying(carrying(main, insert([3.into()])), insert([4.into()]));

        assert_eq!(
            both.sql,
            "WITH beside_3 AS (INSERT INTO d VALUES ($4) RETURNING 1), \
             beside_2 AS (INSERT INTO d VALUES ($3) RETURNING 1) \
             UPDATE a SET b = $1 WHERE c = $2 \
             AND (SELECT COUNT(*) FROM beside_2) = 1 AND (SELECT COUNT(*) FROM beside_3) = 1"
        );
        assert_eq!(both.values.unwrap().0, [1.into(), 2.into(), 3.into(), 4.into()]);
    }
}
