//! Users as administrators see them, in the database.

use std::collections::HashSet;

use async_trait::async_trait;
use repartee_application::{
    Page, PageRequest,
    ports::{
        AccountChange, AccountChanged, NamesInUse, NewKey, PasswordHash, PortError, UsedKey,
        UserDirectory, UserFilter, UserReference, Watched,
    },
};
use repartee_domain::{Reference, UserId, accounts::User, audit::AuditEntry};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::Expr,
};

use super::{TABLE, UNIQUE, change, make, prefix, row};
use crate::persistence::{
    Database, audit,
    entity::user::{Column, Entity},
    error::{database, taken},
    login_sessions::tell,
    turns,
};

/// Rows in one statement: SQLite binds at most 32,766 values.
const ROWS: usize = 500;
/// A guest has no account that could be managed. Written out, as the index has it.
const IS_NO_GUEST: &str = "role <> 'guest'";

pub struct SeaUserDirectory {
    db: Database,
}

impl SeaUserDirectory {
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// Which of these values a unique column holds.
    async fn held(
        &self,
        column: Column,
        values: Vec<String>,
    ) -> Result<HashSet<String>, PortError> {
        let mut held = HashSet::new();
        for some in values.chunks(ROWS) {
            let found: Vec<String> = Entity::find()
                .select_only()
                .column(column)
                .filter(column.is_in(some))
                .into_tuple()
                .all(self.db.reader())
                .await
                .map_err(database)?;
            held.extend(found);
        }
        Ok(held)
    }
}

#[async_trait]
impl UserDirectory for SeaUserDirectory {
    async fn find(&self, user: UserReference) -> Result<Option<User>, PortError> {
        let is_meant = match user {
            Reference::Id(id) => Column::Id.eq(id.as_uuid()),
            Reference::Code(code) => Column::Code.eq(code.as_str()),
        };
        let row = known().filter(is_meant).one(self.db.reader()).await.map_err(database)?;
        row.map(User::try_from).transpose()
    }

    async fn list(
        &self,
        filter: UserFilter,
        page: PageRequest<UserId>,
    ) -> Result<Page<User, UserId>, PortError> {
        let mut rows = known().order_by_desc(Column::Id).limit(u64::from(page.limit) + 1);
        if let Some(after) = page.after {
            rows = rows.filter(Column::Id.lt(after.as_uuid()));
        }
        if let Some(role) = filter.role {
            rows = rows.filter(Column::Role.eq(role.as_str()));
        }
        if let Some(is_active) = filter.is_active {
            rows = rows.filter(Column::IsActive.eq(is_active));
        }
        if let Some(text) = filter.prefix {
            rows = rows.filter(prefix::names_beginning(self.db.reader(), &text));
        }
        let rows = rows.all(self.db.reader()).await.map_err(database)?;
        let users = rows.into_iter().map(User::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(users, page.limit, |user: &User| user.id))
    }

    async fn change(
        &self,
        change: AccountChange,
        entries: Vec<AuditEntry>,
    ) -> Result<AccountChanged, PortError> {
        change::change(&self.db, change, entries).await
    }

    async fn delete(&self, user: UserId, entry: AuditEntry) -> Result<(), PortError> {
        let delete = Entity::delete_many()
            .filter(Column::Id.eq(user.as_uuid()))
            .filter(Column::IsActive.eq(false));
        let now = entry.at;
        let deleted = self
            .db
            .write_telling(user, Watched::SessionEnds, move |tx| {
                Box::pin(async move {
                    tell(tx, user, now).await?;
                    turns::forget_budgets(tx, user).await?;
                    let deleted = delete.exec(tx).await.map_err(database)?;
                    if deleted.rows_affected == 0 {
                        return Err(PortError::Stale);
                    }
                    audit::record(tx, entry).await
                })
            })
            .await;
        // Also where it failed: it may have been committed all the same.
        self.db.endings().count();
        deleted
    }

    async fn make(
        &self,
        user: User,
        password: PasswordHash,
        maker: UserId,
        key: Option<NewKey>,
        entry: AuditEntry,
    ) -> Result<Option<UsedKey>, PortError> {
        make::make(&self.db, &user, &password, maker, key, entry).await
    }

    async fn in_use(
        &self,
        emails: Vec<String>,
        usernames: Vec<String>,
    ) -> Result<NamesInUse, PortError> {
        Ok(NamesInUse {
            emails: self.held(Column::Email, emails).await?,
            usernames: self.held(Column::UsernameKey, usernames).await?,
        })
    }

    async fn import(
        &self,
        users: Vec<(User, PasswordHash)>,
        entries: Vec<AuditEntry>,
    ) -> Result<(), PortError> {
        let rows: Vec<_> =
            users.iter().map(|(user, password)| row(user, password).into_active_model()).collect();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    for some in rows.chunks(ROWS) {
                        let insert = Entity::insert_many(some.to_vec());
                        let inserted = insert.exec_without_returning(tx).await;
                        inserted.map_err(taken(TABLE, &UNIQUE))?;
                    }
                    for entry in entries {
                        audit::record(tx, entry).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

fn known() -> Select<Entity> {
    Entity::find().filter(Expr::cust(IS_NO_GUEST))
}
