//! The catalogue of personas in the database.

mod insert;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::{
    Page, PageRequest,
    ports::{Made, NewKey, PersonaFilter, PersonaRepository, PortError},
};
use repartee_domain::{
    PersonaId, UserId,
    audit::AuditEntry,
    personas::{Character, Persona},
};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};

use super::{
    Database, audit,
    entity::persona::{Column, Entity, Model},
    error::{database, taken},
    stored::version,
};

const TABLE: &str = "personas";
const UNIQUE: [(&str, &str); 1] = [("name", "name")];

pub struct SeaPersonaRepository {
    db: Database,
}

impl SeaPersonaRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl PersonaRepository for SeaPersonaRepository {
    async fn list(
        &self,
        filter: PersonaFilter,
        page: PageRequest<PersonaId>,
    ) -> Result<Page<Persona, PersonaId>, PortError> {
        let mut rows =
            Entity::find().order_by_asc(Column::Id).limit(u64::from(page.limit).saturating_add(1));
        if let Some(after) = page.after {
            rows = rows.filter(Column::Id.gt(after.get()));
        }
        if let Some(is_active) = filter.is_active {
            rows = rows.filter(Column::IsActive.eq(is_active));
        }
        let rows = rows.all(self.db.reader()).await.map_err(database)?;
        let personas = rows.into_iter().map(Persona::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(personas, page.limit, |persona: &Persona| persona.id))
    }

    async fn find(&self, id: PersonaId) -> Result<Option<Persona>, PortError> {
        let row = Entity::find_by_id(id.get()).one(self.db.reader()).await.map_err(database)?;
        row.map(Persona::try_from).transpose()
    }

    async fn insert(
        &self,
        character: Character,
        most: u32,
        now: DateTime<Utc>,
        maker: UserId,
        key: Option<NewKey>,
        entry: AuditEntry,
    ) -> Result<Option<Made<Persona>>, PortError> {
        insert::insert(&self.db, &character, most, now, maker, key, entry).await
    }

    async fn save(&self, persona: Persona, entry: AuditEntry) -> Result<Persona, PortError> {
        let character = persona.character.clone();
        let update = Entity::update_many()
            .col_expr(Column::Name, Expr::value(character.name))
            .col_expr(Column::SystemPrompt, Expr::value(character.system_prompt))
            .col_expr(Column::Expertise, Expr::value(character.expertise))
            .col_expr(Column::Description, Expr::value(character.description))
            .col_expr(Column::Icon, Expr::value(character.icon))
            .col_expr(Column::IsActive, Expr::value(character.is_active))
            .col_expr(Column::UpdatedAt, Expr::value(persona.updated_at))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .filter(Column::Id.eq(persona.id.get()))
            .filter(Column::Version.eq(i64::from(persona.version.get())));
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
        Ok(Persona { version: persona.version.next(), ..persona })
    }

    async fn delete(&self, id: PersonaId, entry: AuditEntry) -> Result<(), PortError> {
        let delete = Entity::delete_by_id(id.get());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    match delete.exec(tx).await.map_err(database)?.rows_affected {
                        0 => Err(PortError::Stale),
                        _ => audit::record(tx, entry).await,
                    }
                })
            })
            .await
    }
}

impl TryFrom<Model> for Persona {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        Ok(Self {
            id: PersonaId::new(row.id),
            character: Character {
                name: row.name,
                system_prompt: row.system_prompt,
                expertise: row.expertise,
                description: row.description,
                icon: row.icon,
                is_active: row.is_active,
            },
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: version(row.version)?,
        })
    }
}
