//! Who somebody is at another issuer, in the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{
    ExternalIdentity, ExternalIdentityRepository, MappedUser, PasswordHash, PortError, Principal,
};
use repartee_domain::{UserId, accounts::User, audit::AuditEntry};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, JoinType, QueryFilter, QuerySelect, RelationTrait,
};
use uuid::Uuid;

use super::{
    Database, audit,
    entity::{
        external_identity::{Column, Entity, Model, Relation},
        user,
    },
    error::{database, taken},
    login_sessions::Principals,
    stored::parsed,
    users::row,
};

const TABLE: &str = "external_identities";
const UNIQUE: [(&str, &str); 1] = [("issuer", "identity")];

pub struct SeaExternalIdentityRepository {
    db: Database,
    mapped: Principals<ExternalIdentity, MappedUser>,
    principals: Principals<UserId, Principal>,
}

impl SeaExternalIdentityRepository {
    pub fn new(db: Database) -> Self {
        let (mapped, principals) = (db.endings().clone(), db.endings().clone());
        Self { db, mapped: Principals::new(mapped), principals: Principals::new(principals) }
    }
}

#[async_trait]
impl ExternalIdentityRepository for SeaExternalIdentityRepository {
    async fn find(&self, identity: &ExternalIdentity) -> Result<Option<MappedUser>, PortError> {
        // Nothing that is remembered here ends by itself.
        if let Some(mapped) = self.mapped.get(identity, DateTime::UNIX_EPOCH) {
            return Ok(Some(mapped));
        }
        let moment = self.mapped.now();
        let row: Option<(Uuid, String, bool)> = Entity::find()
            .select_only()
            .column(Column::UserId)
            .column(user::Column::Role)
            .column(user::Column::IsActive)
            .join(JoinType::InnerJoin, Relation::User.def())
            .filter(Column::Issuer.eq(&identity.issuer))
            .filter(Column::Subject.eq(&identity.subject))
            .into_tuple()
            .one(self.db.reader())
            .await
            .map_err(database)?;
        let Some((user, role, is_active)) = row else { return Ok(None) };
        let mapped = MappedUser { user: UserId::from_uuid(user), role: parsed(&role)?, is_active };
        self.mapped.remember(identity.clone(), mapped, DateTime::<Utc>::MAX_UTC, moment);
        Ok(Some(mapped))
    }

    async fn map(
        &self,
        identity: ExternalIdentity,
        user: User,
        password: PasswordHash,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        let user_row = row(&user, &password);
        let identity = Model {
            issuer: identity.issuer,
            subject: identity.subject,
            user_id: user.id.as_uuid(),
            created_at: user.created_at,
        };
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    user::Entity::insert(user_row.into_active_model())
                        .exec_without_returning(tx)
                        .await
                        .map_err(taken("users", &[("email", "email")]))?;
                    Entity::insert(identity.into_active_model())
                        .exec_without_returning(tx)
                        .await
                        .map_err(taken(TABLE, &UNIQUE))?;
                    audit::record(tx, entry).await
                })
            })
            .await
    }

    async fn principal(&self, user: UserId) -> Result<Option<Principal>, PortError> {
        if let Some(principal) = self.principals.get(&user, DateTime::UNIX_EPOCH) {
            return Ok(Some(principal));
        }
        let moment = self.principals.now();
        let role: Option<String> = user::Entity::find_by_id(user.as_uuid())
            .select_only()
            .column(user::Column::Role)
            .filter(user::Column::IsActive.eq(true))
            .into_tuple()
            .one(self.db.reader())
            .await
            .map_err(database)?;
        let Some(role) = role else { return Ok(None) };
        let principal = Principal { user, role: parsed(&role)? };
        self.principals.remember(user, principal, DateTime::<Utc>::MAX_UTC, moment);
        Ok(Some(principal))
    }
}
