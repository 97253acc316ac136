//! Projects: workspaces with prompts, shared with others.

mod chat;
mod members;

use std::sync::Arc;

use repartee_domain::{
    ProjectId, Version,
    projects::{ProjectDeed, ProjectRole, Purpose, PurposeChanges},
};

pub use self::chat::{ProjectChatPorts, ProjectChatService};
use crate::{
    Actor, AppError, IdempotencyKey, Page, PageRequest, Permission,
    idempotency::Making,
    ports::{
        Clock, IdempotencyKeys, JoinedProject, Made, PortError, ProjectRepository, UserDirectory,
    },
};

/// Projects that somebody may own.
const MOST: u32 = 100;
/// Projects that are listed where a client knows no pages.
const MOST_LISTED: u32 = 200;
/// Where the keys of new projects are used.
const KEY_ROUTE: &str = "projects";

pub struct ProjectService {
    projects: Arc<dyn ProjectRepository>,
    users: Arc<dyn UserDirectory>,
    keys: Arc<dyn IdempotencyKeys>,
    clock: Arc<dyn Clock>,
}

impl ProjectService {
    pub fn new(
        projects: Arc<dyn ProjectRepository>,
        users: Arc<dyn UserDirectory>,
        keys: Arc<dyn IdempotencyKeys>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { projects, users, keys, clock }
    }

    /// Those that the caller is a member of, newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        page: PageRequest<ProjectId>,
    ) -> Result<Page<JoinedProject, ProjectId>, AppError> {
        actor.may(Permission::ReadProjects)?;
        Ok(self.projects.list(actor.user, page).await?)
    }

    /// As [`ProjectService::list`], without pages: the newest 200.
    pub async fn newest(&self, actor: &Actor) -> Result<Vec<JoinedProject>, AppError> {
        Ok(self.list(actor, PageRequest { limit: MOST_LISTED, after: None }).await?.items)
    }

    pub async fn find(&self, actor: &Actor, id: ProjectId) -> Result<JoinedProject, AppError> {
        actor.may(Permission::ReadProjects)?;
        member(&*self.projects, actor, id, ProjectDeed::Read).await
    }

    /// Makes a project of the caller's. Where the key was used for the same before, that project is
    /// given again, as it is by now.
    ///
    /// # Errors
    /// [`AppError::AlreadyDone`] where it was deleted since.
    pub async fn make(
        &self,
        actor: &Actor,
        wish: PurposeChanges,
        key: Option<IdempotencyKey>,
    ) -> Result<JoinedProject, AppError> {
        actor.may(Permission::EditProjects)?;
        let now = self.clock.now();
        let making = Making::new(actor.user, KEY_ROUTE, key.as_ref(), now);
        if let Some(id) = making.made_before(&*self.keys).await? {
            return self.again(actor, ProjectId::from_uuid(id)).await;
        }
        let purpose = Purpose::make(wish).map_err(AppError::Invalid)?;
        let new_key = making.new_key();
        let made = self.projects.insert(actor.user, purpose, MOST, now, new_key).await?;
        match made.ok_or(AppError::TooMany("projects"))? {
            Made::Now(project) => Ok(JoinedProject { project, role: ProjectRole::Owner }),
            Made::Before(used) => {
                self.again(actor, ProjectId::from_uuid(making.made_by(used)?)).await
            }
        }
    }

    async fn again(&self, actor: &Actor, id: ProjectId) -> Result<JoinedProject, AppError> {
        self.projects.find(actor.user, id).await?.ok_or(AppError::AlreadyDone)
    }

    /// Changes the fields that are named: for its owner. `expected` is the version that the caller
    /// read, where it says so.
    pub async fn change(
        &self,
        actor: &Actor,
        id: ProjectId,
        changes: PurposeChanges,
        expected: Option<Version>,
    ) -> Result<JoinedProject, AppError> {
        actor.may(Permission::EditProjects)?;
        let JoinedProject { mut project, role } =
            member(&*self.projects, actor, id, ProjectDeed::Manage).await?;
        if expected.is_some_and(|expected| expected != project.version) {
            return Err(AppError::VersionMismatch);
        }
        if !project.change(changes, self.clock.now()).map_err(AppError::Invalid)? {
            return Ok(JoinedProject { project, role });
        }
        match self.projects.save(project).await {
            Err(PortError::Stale) if expected.is_some() => Err(AppError::VersionMismatch),
            saved => Ok(JoinedProject { project: saved?, role }),
        }
    }

    /// Deletes a project with its prompts, for good: for its owner. Conversations go on without.
    pub async fn delete(&self, actor: &Actor, id: ProjectId) -> Result<(), AppError> {
        actor.may(Permission::EditProjects)?;
        member(&*self.projects, actor, id, ProjectDeed::Manage).await?;
        if self.projects.delete(id).await? { Ok(()) } else { Err(AppError::PROJECT_NOT_FOUND) }
    }
}

/// The project, where the caller is a member of it who may do this.
///
/// # Errors
/// [`AppError::NotFound`] where they are none; [`AppError::NotInProject`] where they may not.
pub(crate) async fn member(
    projects: &dyn ProjectRepository,
    actor: &Actor,
    id: ProjectId,
    deed: ProjectDeed,
) -> Result<JoinedProject, AppError> {
    let joined = projects.find(actor.user, id).await?.ok_or(AppError::PROJECT_NOT_FOUND)?;
    if joined.role.may(deed) { Ok(joined) } else { Err(AppError::NotInProject(deed.least_role())) }
}

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod tests {
    use super::{fixture::*, *};
    use crate::ports::{Done, MockProjectRepository, MockUserDirectory, UsedKey};

    fn service(projects: MockProjectRepository) -> ProjectService {
        service_after(None, projects)
    }

    fn service_after(used: Option<UsedKey>, projects: MockProjectRepository) -> ProjectService {
        ProjectService::new(
            Arc::new(projects),
            Arc::new(MockUserDirectory::new()),
            Arc::new(keys("projects", used)),
            Arc::new(clock()),
        )
    }

    fn wish(name: &str) -> PurposeChanges {
        PurposeChanges { name: Some(name.into()), ..PurposeChanges::default() }
    }

    fn code(error: &AppError) -> &'static str {
        error.classify().1
    }

    #[tokio::test]
    async fn who_is_no_member_finds_nothing_and_who_may_not_is_told() {
        for (role, code) in [
            (None, "project_not_found"),
            (Some(ProjectRole::Viewer), "forbidden"),
            (Some(ProjectRole::Editor), "forbidden"),
        ] {
            let service = service(joined(role));
            let refused = [
                service.change(&actor(), PROJECT, wish("Te"), None).await.map(drop),
                service.delete(&actor(), PROJECT).await,
            ];
            for refused in refused {
                assert_eq!(refused.unwrap_err().classify().1, code, "{role:?}");
            }
            assert_eq!(service.find(&actor(), PROJECT).await.is_ok(), role.is_some());
        }
    }

    #[tokio::test]
    async fn a_project_is_made_once() {
        for (fingerprint, role, expected) in [
            (1, Some(ProjectRole::Owner), Ok(PROJECT)),
            (1, None, Err("already_done")),
            (2, Some(ProjectRole::Owner), Err("idempotency_key_reused")),
        ] {
            let done = Done::Resource(PROJECT.as_uuid());
            let used = UsedKey { fingerprint: [fingerprint; 32], done };
            let mut faster = joined(role);
            faster.expect_insert().returning(move |_, _, _, _, _| Ok(Some(Made::Before(used))));
            // Found before, and found when another request was faster.
            for service in [service_after(Some(used), joined(role)), service(faster)] {
                let key = IdempotencyKey::parse("k", [1; 32]).unwrap();
                let made = service.make(&actor(), wish("Tea"), Some(key)).await;
                let made = made.map(|made| made.project.id).map_err(|error| code(&error));
                assert_eq!(made, expected);
            }
        }
    }

    #[tokio::test]
    async fn who_makes_a_project_owns_it_and_there_is_an_end() {
        for (stored, expected) in
            [(Some(Made::Now(project())), Ok(ProjectRole::Owner)), (None, Err("too_many_projects"))]
        {
            let mut projects = MockProjectRepository::new();
            projects
                .expect_insert()
                .withf(|owner, purpose, most, now, key| {
                    (*owner, &*purpose.name) == (actor().user, "Tea")
                        && (*most, *now, key) == (100, NOW, &None)
                })
                .once()
                .return_once(move |_, _, _, _, _| Ok(stored));
            let made = service(projects).make(&actor(), wish("Tea"), None).await;
            assert_eq!(made.map(|made| made.role).map_err(|error| code(&error)), expected);
        }
    }

    #[tokio::test]
    async fn what_was_overtaken_is_refused() {
        let old = Some(Version::new(9));
        let owned = || joined(Some(ProjectRole::Owner));
        let refused = service(owned()).change(&actor(), PROJECT, wish("Te"), old).await;
        assert_eq!(code(&refused.unwrap_err()), "version_mismatch");
        for (expected, refusal) in
            [(None, "stale_write"), (Some(Version::FIRST), "version_mismatch")]
        {
            let mut projects = owned();
            projects.expect_save().returning(|_| Err(PortError::Stale));
            let refused = service(projects).change(&actor(), PROJECT, wish("Te"), expected).await;
            assert_eq!(code(&refused.unwrap_err()), refusal);
        }
        // Nothing to change: nothing is written.
        let nothing = PurposeChanges::default();
        service(owned()).change(&actor(), PROJECT, nothing, None).await.unwrap();
    }
}
