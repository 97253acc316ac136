//! The catalogue of personas, and what shapes conversations.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{
    PersonaId, UserId,
    audit::AuditEntry,
    conversations::Shape,
    personas::{Character, Persona},
};

use super::{Made, NewKey, PortError};
use crate::{Page, PageRequest};

/// Which personas to list; nothing for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PersonaFilter {
    pub is_active: Option<bool>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait PersonaRepository: Send + Sync {
    /// In the order of their ids.
    async fn list(
        &self,
        filter: PersonaFilter,
        page: PageRequest<PersonaId>,
    ) -> Result<Page<Persona, PersonaId>, PortError>;

    async fn find(&self, id: PersonaId) -> Result<Option<Persona>, PortError>;

    /// Stores a persona under the next id, with the idempotency key of `maker` and the entry, which
    /// is told the id, in one commit. `None` where there are `most` already.
    ///
    /// # Errors
    /// [`PortError::Taken`] with `name`.
    async fn insert(
        &self,
        character: Character,
        most: u32,
        now: DateTime<Utc>,
        maker: UserId,
        key: Option<NewKey>,
        entry: AuditEntry,
    ) -> Result<Option<Made<Persona>>, PortError>;

    /// Stores what a persona is, and gives it back with the next version.
    ///
    /// # Errors
    /// [`PortError::Stale`] unless the stored version is the one read; [`PortError::Taken`] with
    /// `name`.
    async fn save(&self, persona: Persona, entry: AuditEntry) -> Result<Persona, PortError>;

    /// Deletes a persona; its conversations go on without.
    ///
    /// # Errors
    /// [`PortError::Stale`] where there is none.
    async fn delete(&self, id: PersonaId, entry: AuditEntry) -> Result<(), PortError>;
}

/// What conversations are shaped by, wherever that is kept.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ShapeRepository: Send + Sync {
    /// What of the shape a user may choose now: a persona that is active, a project that they
    /// are a member of. One query.
    async fn choosable(&self, user: UserId, shape: Shape) -> Result<Shape, PortError>;

    /// The system prompts that a shape gives a user's conversation: the persona's, and the active
    /// ones of the project in their order, where the user is a member of it. One query.
    async fn prompts(&self, user: UserId, shape: Shape) -> Result<Vec<String>, PortError>;
}
