//! What conversations are shaped by, in the database.

use async_trait::async_trait;
use repartee_application::ports::{PortError, ShapeRepository};
use repartee_domain::{PersonaId, ProjectId, UserId, conversations::Shape};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::{Database, batch::statement, error::database};

const CHOOSABLE: &str = "SELECT id AS persona_id, NULL AS project_id FROM personas \
    WHERE id = ? AND is_active UNION ALL \
    SELECT NULL, project_id FROM project_members WHERE project_id = ? AND user_id = ?";
/// Whoever is no member any more is shown nothing of the project.
const PROMPTS: &str = "SELECT 0 AS part, 0 AS position, 0 AS id, system_prompt AS content \
    FROM personas WHERE id = ? UNION ALL \
    SELECT 1, prompts.position, prompts.id, prompts.content FROM prompts \
    JOIN project_members ON project_members.project_id = prompts.project_id \
    WHERE prompts.project_id = ? AND project_members.user_id = ? AND prompts.is_active \
    ORDER BY part, position, id";

pub struct SeaShapeRepository {
    db: Database,
}

impl SeaShapeRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    async fn ask(
        &self,
        sql: &str,
        user: UserId,
        shape: Shape,
    ) -> Result<Vec<QueryResult>, PortError> {
        let (persona, project) = (shape.persona.map(PersonaId::get), shape.project);
        let values: [Value; 3] =
            [persona.into(), project.map(ProjectId::get).into(), user.as_uuid().into()];
        let reader = self.db.reader();
        let statement = statement(reader.get_database_backend(), sql, values);
        reader.query_all_raw(statement).await.map_err(database)
    }
}

#[async_trait]
impl ShapeRepository for SeaShapeRepository {
    async fn choosable(&self, user: UserId, shape: Shape) -> Result<Shape, PortError> {
        let mut choosable = Shape::default();
        for row in self.ask(CHOOSABLE, user, shape).await? {
            let persona: Option<i64> = row.try_get_by_index(0).map_err(database)?;
            let project: Option<i64> = row.try_get_by_index(1).map_err(database)?;
            choosable.persona = choosable.persona.or(persona.map(PersonaId::new));
            choosable.project = choosable.project.or(project.map(ProjectId::new));
        }
        Ok(choosable)
    }

    async fn prompts(&self, user: UserId, shape: Shape) -> Result<Vec<String>, PortError> {
        let rows = self.ask(PROMPTS, user, shape).await?;
        rows.iter().map(|row| row.try_get("", "content").map_err(database)).collect()
    }
}
