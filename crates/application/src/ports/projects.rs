//! Projects, who is in them, and their prompts.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{
    ConversationId, ProjectId, PromptId, UserId, Version,
    audit::AuditEntry,
    conversations::Conversation,
    projects::{Project, ProjectRole, Prompt, PromptText, PromptVersion, Purpose},
};

use super::{Made, NewKey, PortError};
use crate::{Page, PageRequest};

/// A project, as one of its members has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedProject {
    pub project: Project,
    pub role: ProjectRole,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectMember {
    pub user: UserId,
    pub username: Option<String>,
    pub role: ProjectRole,
    pub added_at: DateTime<Utc>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ProjectRepository: Send + Sync {
    /// Those that a user is a member of, newest first.
    async fn list(
        &self,
        user: UserId,
        page: PageRequest<ProjectId>,
    ) -> Result<Page<JoinedProject, ProjectId>, PortError>;

    /// `None` when the project is missing **or the user is no member**.
    async fn find(&self, user: UserId, id: ProjectId) -> Result<Option<JoinedProject>, PortError>;

    /// Stores a project under the next id, with its owner as a member and their idempotency key, in
    /// one commit. `None` where they own `most` already.
    async fn insert(
        &self,
        owner: UserId,
        purpose: Purpose,
        most: u32,
        now: DateTime<Utc>,
        key: Option<NewKey>,
    ) -> Result<Option<Made<Project>>, PortError>;

    /// Stores the purpose, and gives the project back with the next version.
    ///
    /// # Errors
    /// [`PortError::Stale`] unless the stored version is the one read.
    async fn save(&self, project: Project) -> Result<Project, PortError>;

    /// Deletes a project with its prompts; its conversations go on without. `false` when there was
    /// none.
    async fn delete(&self, id: ProjectId) -> Result<bool, PortError>;

    /// In the order of their ids, which is that in which they became users.
    async fn members(
        &self,
        id: ProjectId,
        page: PageRequest<UserId>,
    ) -> Result<Page<ProjectMember, UserId>, PortError>;

    /// Makes somebody a member with a role, or gives a member another one. `None` where there are
    /// `most` already. The owner stays what they are: they are given as they are.
    ///
    /// # Errors
    /// [`PortError::Stale`] where the project or the user is gone.
    async fn put_member(
        &self,
        id: ProjectId,
        user: UserId,
        role: ProjectRole,
        most: u32,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<Option<ProjectMember>, PortError>;

    /// `false` where they were no member, or are the owner.
    async fn remove_member(
        &self,
        id: ProjectId,
        user: UserId,
        entry: AuditEntry,
    ) -> Result<bool, PortError>;
}

/// The conversation that each member has running in a project, where clients name none.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ProjectConversations: Send + Sync {
    async fn find(
        &self,
        user: UserId,
        project: ProjectId,
    ) -> Result<Option<Conversation>, PortError>;

    /// Stores a conversation as the one that its owner has running in the project from now on, and
    /// tells their feed, in one commit. `false`, and nothing is stored, unless `instead_of` is the
    /// one that they have: of any number of concurrent calls one gets through.
    async fn begin(
        &self,
        project: ProjectId,
        conversation: Conversation,
        instead_of: Option<ConversationId>,
    ) -> Result<bool, PortError>;
}

/// What a list of prompts is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptKey {
    pub position: u32,
    pub id: PromptId,
}

/// A prompt that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPrompt {
    pub project: ProjectId,
    pub text: PromptText,
    /// `None`: after all others.
    pub position: Option<u32>,
    pub is_active: bool,
    pub by: UserId,
    pub now: DateTime<Utc>,
}

/// Each write keeps what the prompt says as a version, with who wrote it.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait PromptRepository: Send + Sync {
    /// By their positions.
    async fn list(
        &self,
        project: ProjectId,
        page: PageRequest<PromptKey>,
    ) -> Result<Page<Prompt, PromptKey>, PortError>;

    async fn find(&self, id: PromptId) -> Result<Option<Prompt>, PortError>;

    /// Stores a prompt under the next id, with the idempotency key of who makes it, in one commit.
    /// `None` where the project has `most` already.
    ///
    /// # Errors
    /// [`PortError::Stale`] where the project is gone.
    async fn insert(
        &self,
        prompt: NewPrompt,
        most: u32,
        key: Option<NewKey>,
    ) -> Result<Option<Made<Prompt>>, PortError>;

    /// Gives the prompt back with the next version.
    ///
    /// # Errors
    /// [`PortError::Stale`] unless the stored version is the one read.
    async fn save(&self, prompt: Prompt, by: UserId) -> Result<Prompt, PortError>;

    /// With all of its versions. `false` when there was none.
    async fn delete(&self, id: PromptId) -> Result<bool, PortError>;

    /// What a prompt said, newest first; its present text is the first.
    async fn versions(
        &self,
        id: PromptId,
        page: PageRequest<Version>,
    ) -> Result<Page<PromptVersion, Version>, PortError>;
}
