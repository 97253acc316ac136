//! Users in the database.

mod change;
mod directory;
mod make;
mod password;
mod prefix;

use async_trait::async_trait;
use repartee_application::ports::{
    Credentials, LoginName, PasswordChange, PasswordHash, PortError, UserRepository,
};
use repartee_domain::{
    UserId,
    accounts::{Email, LoginSession, Profile, Role, User, Username},
    audit::AuditEntry,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter,
    QuerySelect, QueryTrait,
    sea_query::{Expr, SimpleExpr},
};
use secrecy::ExposeSecret;

pub use self::directory::SeaUserDirectory;
use super::{
    Database, audit,
    entity::{
        login_session,
        user::{Column, Entity, Model},
    },
    error::{database, taken},
    stored::{parsed, version},
};

const TABLE: &str = "users";
const UNIQUE: [(&str, &str); 2] = [("email", "email"), ("username_key", "username")];

pub struct SeaUserRepository {
    db: Database,
}

impl SeaUserRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl UserRepository for SeaUserRepository {
    async fn register(
        &self,
        user: &User,
        password: &PasswordHash,
        session: Option<LoginSession>,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        let user = row(user, password);
        let session = session.map(|session| login_session::Model::from_session(session, None));
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let backend = tx.get_database_backend();
                    let mut statements =
                        vec![Entity::insert(user.into_active_model()).build(backend)];
                    if let Some(session) = session {
                        let insert = login_session::Entity::insert(session.into_active_model());
                        statements.push(insert.build(backend));
                    }
                    tx.execute_all(statements).await.map_err(taken(TABLE, &UNIQUE))?;
                    audit::record(tx, entry).await
                })
            })
            .await
    }

    async fn find(&self, id: UserId) -> Result<Option<User>, PortError> {
        let row = Entity::find_by_id(id.as_uuid()).one(self.db.reader()).await.map_err(database)?;
        row.map(User::try_from).transpose()
    }

    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, PortError> {
        let is_named = match name {
            LoginName::Email(email) => Column::Email.eq(email.as_str()),
            LoginName::Username(name) => Column::UsernameKey.eq(name.key()),
        };
        let row = Entity::find()
            .filter(is_named)
            .filter(is_somebody())
            .one(self.db.reader())
            .await
            .map_err(database)?;
        row.map(|mut row| {
            let password = PasswordHash(std::mem::take(&mut row.password_hash).into());
            Ok(Credentials { user: row.try_into()?, password })
        })
        .transpose()
    }

    async fn save(&self, user: User, entry: AuditEntry) -> Result<User, PortError> {
        let profile = user.profile.clone();
        let update = Entity::update_many()
            .col_expr(
                Column::UsernameKey,
                Expr::value(profile.username.as_ref().map(Username::key)),
            )
            .col_expr(
                Column::Username,
                Expr::value(profile.username.map(|name| name.as_str().to_owned())),
            )
            .col_expr(Column::FirstName, Expr::value(profile.first_name))
            .col_expr(Column::LastName, Expr::value(profile.last_name))
            .col_expr(Column::Language, Expr::value(profile.language))
            .col_expr(Column::Preferences, Expr::value(profile.preferences))
            .col_expr(Column::UpdatedAt, Expr::value(user.updated_at))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .filter(Column::Id.eq(user.id.as_uuid()))
            .filter(Column::Version.eq(i64::from(user.version.get())));
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let updated = update.exec(tx).await.map_err(taken(TABLE, &UNIQUE))?;
                    match updated.rows_affected {
                        0 => Err(PortError::Stale),
                        _ => audit::record(tx, entry).await,
                    }
                })
            })
            .await?;
        Ok(User { version: user.version.next(), ..user })
    }

    async fn rehash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), PortError> {
        let update = Entity::update_many()
            .col_expr(Column::PasswordHash, Expr::value(new.0.expose_secret()))
            .filter(Column::Id.eq(id.as_uuid()))
            .filter(Column::PasswordHash.eq(old.0.expose_secret()));
        self.db
            .write(move |tx| {
                Box::pin(async move { update.exec(tx).await.map(drop).map_err(database) })
            })
            .await
    }

    async fn change_password(
        &self,
        change: PasswordChange,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        password::change(&self.db, change, entry).await
    }

    async fn is_empty(&self) -> Result<bool, PortError> {
        let any: Option<uuid::Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(is_somebody())
            .into_tuple()
            .one(self.db.reader())
            .await
            .map_err(database)?;
        Ok(any.is_none())
    }
}

/// Guests own conversations; they have no account.
fn is_somebody() -> SimpleExpr {
    Column::Role.ne(Role::Guest.as_str())
}

pub(super) fn row(user: &User, password: &PasswordHash) -> Model {
    let Profile { username, first_name, last_name, language, preferences } = user.profile.clone();
    Model {
        id: user.id.as_uuid(),
        code: user.code.to_string(),
        email: user.email.as_str().to_owned(),
        username_key: username.as_ref().map(Username::key),
        username: username.map(|name| name.as_str().to_owned()),
        password_hash: password.0.expose_secret().to_owned(),
        first_name,
        last_name,
        role: user.role.as_str().to_owned(),
        language,
        preferences,
        is_active: user.is_active,
        email_verified_at: user.email_verified_at,
        last_login_at: user.last_login_at,
        created_at: user.created_at,
        updated_at: user.updated_at,
        version: user.version.get().into(),
    }
}

impl TryFrom<Model> for User {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        Ok(Self {
            id: UserId::from_uuid(row.id),
            code: parsed(&row.code)?,
            email: Email::from_stored(row.email),
            role: parsed(&row.role)?,
            is_active: row.is_active,
            profile: Profile {
                username: row.username.map(Username::from_stored),
                first_name: row.first_name,
                last_name: row.last_name,
                language: row.language,
                preferences: row.preferences,
            },
            email_verified_at: row.email_verified_at,
            last_login_at: row.last_login_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: version(row.version)?,
        })
    }
}
