//! The prompts of a project: a viewer reads them, an editor edits them.

use std::sync::Arc;

use repartee_domain::{
    ProjectId, PromptId, Version,
    projects::{ProjectDeed, Prompt, PromptChanges, PromptText, PromptVersion},
};

use crate::{
    Actor, AppError, IdempotencyKey, Page, PageRequest, Permission,
    idempotency::Making,
    ports::{
        Clock, IdempotencyKeys, Made, NewPrompt, PortError, ProjectRepository, PromptKey,
        PromptRepository,
    },
    projects::member,
};

/// Prompts of a project.
const MOST: u32 = 100;
/// Where the keys of new prompts are used.
const KEY_ROUTE: &str = "prompts";

pub struct PromptService {
    projects: Arc<dyn ProjectRepository>,
    prompts: Arc<dyn PromptRepository>,
    keys: Arc<dyn IdempotencyKeys>,
    clock: Arc<dyn Clock>,
}

/// What names a prompt: its id, and the project that it has to be of, where a path says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptName {
    pub project: Option<ProjectId>,
    pub id: PromptId,
}

impl PromptService {
    pub fn new(
        projects: Arc<dyn ProjectRepository>,
        prompts: Arc<dyn PromptRepository>,
        keys: Arc<dyn IdempotencyKeys>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { projects, prompts, keys, clock }
    }

    /// By their positions.
    pub async fn list(
        &self,
        actor: &Actor,
        project: ProjectId,
        page: PageRequest<PromptKey>,
    ) -> Result<Page<Prompt, PromptKey>, AppError> {
        actor.may(Permission::ReadProjects)?;
        member(&*self.projects, actor, project, ProjectDeed::Read).await?;
        Ok(self.prompts.list(project, page).await?)
    }

    /// All of a project's, by their positions.
    pub async fn all(&self, actor: &Actor, project: ProjectId) -> Result<Vec<Prompt>, AppError> {
        Ok(self.list(actor, project, PageRequest { limit: MOST, after: None }).await?.items)
    }

    pub async fn find(&self, actor: &Actor, name: PromptName) -> Result<Prompt, AppError> {
        actor.may(Permission::ReadProjects)?;
        self.found(actor, name, ProjectDeed::Read).await
    }

    /// Adds a prompt. Where the key was used for the same before, that one is given again, as it is
    /// by now.
    ///
    /// # Errors
    /// [`AppError::AlreadyDone`] where it was deleted since.
    pub async fn make(
        &self,
        actor: &Actor,
        project: ProjectId,
        wish: PromptChanges,
        key: Option<IdempotencyKey>,
    ) -> Result<Prompt, AppError> {
        actor.may(Permission::EditProjects)?;
        member(&*self.projects, actor, project, ProjectDeed::Edit).await?;
        let now = self.clock.now();
        let key = key.map(|key| key.about(project.as_uuid()));
        let making = Making::new(actor.user, KEY_ROUTE, key.as_ref(), now);
        if let Some(id) = making.made_before(&*self.keys).await? {
            return self.again(PromptId::from_uuid(id)).await;
        }
        let prompt = NewPrompt {
            project,
            text: PromptText::make(&wish).map_err(AppError::Invalid)?,
            position: wish.position,
            is_active: wish.is_active.unwrap_or(true),
            by: actor.user,
            now,
        };
        let made = match self.prompts.insert(prompt, MOST, making.new_key()).await {
            Err(PortError::Stale) => return Err(AppError::PROJECT_NOT_FOUND),
            made => made?.ok_or(AppError::TooMany("prompts"))?,
        };
        match made {
            Made::Now(prompt) => Ok(prompt),
            Made::Before(used) => self.again(PromptId::from_uuid(making.made_by(used)?)).await,
        }
    }

    async fn again(&self, id: PromptId) -> Result<Prompt, AppError> {
        self.prompts.find(id).await?.ok_or(AppError::AlreadyDone)
    }

    /// Changes the fields that are named. `expected` is the version that the caller read, where
    /// it says so.
    pub async fn change(
        &self,
        actor: &Actor,
        name: PromptName,
        changes: PromptChanges,
        expected: Option<Version>,
    ) -> Result<Prompt, AppError> {
        actor.may(Permission::EditProjects)?;
        let mut prompt = self.found(actor, name, ProjectDeed::Edit).await?;
        if expected.is_some_and(|expected| expected != prompt.version) {
            return Err(AppError::VersionMismatch);
        }
        if !prompt.change(changes, self.clock.now()).map_err(AppError::Invalid)? {
            return Ok(prompt);
        }
        match self.prompts.save(prompt, actor.user).await {
            Err(PortError::Stale) if expected.is_some() => Err(AppError::VersionMismatch),
            saved => Ok(saved?),
        }
    }

    /// Deletes a prompt with all of its versions, for good.
    pub async fn delete(&self, actor: &Actor, name: PromptName) -> Result<(), AppError> {
        actor.may(Permission::EditProjects)?;
        self.found(actor, name, ProjectDeed::Edit).await?;
        if self.prompts.delete(name.id).await? { Ok(()) } else { Err(AppError::PROMPT_NOT_FOUND) }
    }

    /// What a prompt said, newest first; its present text is the first.
    pub async fn versions(
        &self,
        actor: &Actor,
        name: PromptName,
        page: PageRequest<Version>,
    ) -> Result<Page<PromptVersion, Version>, AppError> {
        actor.may(Permission::ReadProjects)?;
        self.found(actor, name, ProjectDeed::Read).await?;
        Ok(self.prompts.versions(name.id, page).await?)
    }

    async fn found(
        &self,
        actor: &Actor,
        name: PromptName,
        deed: ProjectDeed,
    ) -> Result<Prompt, AppError> {
        if let Some(project) = name.project {
            member(&*self.projects, actor, project, deed).await?;
        }
        let found = self.prompts.find(name.id).await?.ok_or(AppError::PROMPT_NOT_FOUND)?;
        match name.project {
            Some(project) if project == found.project => Ok(found),
            Some(_) => Err(AppError::PROMPT_NOT_FOUND),
            None => match member(&*self.projects, actor, found.project, deed).await {
                Ok(_) => Ok(found),
                // Whoever is no member doesn't learn that there is such a prompt.
                Err(AppError::NotFound { .. }) => Err(AppError::PROMPT_NOT_FOUND),
                Err(error) => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use repartee_domain::projects::ProjectRole;

    use super::*;
    use crate::{
        ports::{Done, MockPromptRepository, UsedKey},
        projects::fixture::*,
    };

    const NAME: PromptName = PromptName { project: None, id: PromptId::new(8) };

    fn prompt() -> Prompt {
        Prompt {
            id: NAME.id,
            project: PROJECT,
            text: PromptText { name: None, content: "Talk of tea.".into() },
            position: 1,
            is_active: true,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            version: Version::FIRST,
        }
    }

    fn holding() -> MockPromptRepository {
        let mut prompts = MockPromptRepository::new();
        prompts.expect_find().returning(|id| Ok((id == NAME.id).then(prompt)));
        prompts
    }

    fn service(role: Option<ProjectRole>, prompts: MockPromptRepository) -> PromptService {
        service_after(None, role, prompts)
    }

    fn service_after(
        used: Option<UsedKey>,
        role: Option<ProjectRole>,
        prompts: MockPromptRepository,
    ) -> PromptService {
        let (projects, keys) = (joined(role), keys("prompts", used));
        let (projects, prompts) = (Arc::new(projects), Arc::new(prompts));
        PromptService::new(projects, prompts, Arc::new(keys), Arc::new(clock()))
    }

    fn say(content: &str) -> PromptChanges {
        PromptChanges { content: Some(content.into()), ..PromptChanges::default() }
    }

    fn code<T>(result: Result<T, AppError>) -> &'static str {
        result.err().map_or("fine", |error| error.classify().1)
    }

    #[tokio::test]
    async fn a_viewer_reads_and_an_editor_edits() {
        for (role, reading, editing) in [
            (None, "prompt_not_found", "prompt_not_found"),
            (Some(ProjectRole::Viewer), "fine", "forbidden"),
            (Some(ProjectRole::Editor), "fine", "fine"),
            (Some(ProjectRole::Owner), "fine", "fine"),
        ] {
            let mut prompts = holding();
            prompts.expect_delete().returning(|_| Ok(true));
            prompts.expect_save().returning(|saved, _| Ok(saved));
            let service = service(role, prompts);
            assert_eq!(code(service.find(&actor(), NAME).await), reading, "{role:?}");
            let changed = service.change(&actor(), NAME, say("Te"), None).await;
            assert_eq!(code(changed), editing, "{role:?}");
            assert_eq!(code(service.delete(&actor(), NAME).await), editing, "{role:?}");
        }
    }

    #[tokio::test]
    async fn a_prompt_is_not_there_in_another_project() {
        let service = service(Some(ProjectRole::Owner), holding());
        for (project, id, expected) in [
            (Some(PROJECT), NAME.id, "fine"),
            (Some(PROJECT), PromptId::new(9), "prompt_not_found"),
            (Some(ProjectId::new(6)), NAME.id, "project_not_found"),
        ] {
            let found = service.find(&actor(), PromptName { project, id }).await;
            assert_eq!(code(found), expected);
        }
    }

    #[tokio::test]
    async fn a_prompt_is_made_once_for_its_project() {
        for (is_same, expected) in [(true, "fine"), (false, "idempotency_key_reused")] {
            let key = IdempotencyKey::parse("k", [1; 32]).unwrap();
            let asked = key.clone().about(PROJECT.as_uuid()).fingerprint();
            let fingerprint = if is_same { asked } else { [1; 32] };
            let used = UsedKey { fingerprint, done: Done::Resource(NAME.id.as_uuid()) };
            let mut faster = holding();
            faster.expect_insert().returning(move |_, _, _| Ok(Some(Made::Before(used))));
            let editor = Some(ProjectRole::Editor);
            // Found before, and found when another request was faster.
            for service in [service_after(Some(used), editor, holding()), service(editor, faster)] {
                let made = service.make(&actor(), PROJECT, say("Te"), Some(key.clone())).await;
                assert_eq!(code(made), expected);
            }
        }
    }

    #[tokio::test]
    async fn a_new_prompt_is_active_and_has_the_place_that_it_asks_for() {
        for (position, stored, expected) in [
            (None, Ok(Some(Made::Now(prompt()))), "fine"),
            (Some(0), Ok(None), "too_many_prompts"),
            (Some(7), Err(PortError::Stale), "project_not_found"),
        ] {
            let mut prompts = MockPromptRepository::new();
            prompts
                .expect_insert()
                .withf(move |new, most, _| {
                    (new.position, new.is_active) == (position, true)
                        && (new.by, new.now, *most) == (actor().user, NOW, 100)
                })
                .return_once(move |_, _, _| stored);
            let wish = PromptChanges { position, ..say("Te") };
            let service = service(Some(ProjectRole::Editor), prompts);
            assert_eq!(code(service.make(&actor(), PROJECT, wish, None).await), expected);
        }
    }

    #[tokio::test]
    async fn what_was_overtaken_is_refused() {
        let (editor, first) = (Some(ProjectRole::Editor), Some(Version::FIRST));
        let old = Some(Version::new(9));
        let refused = service(editor, holding()).change(&actor(), NAME, say("Te"), old).await;
        assert_eq!(code(refused), "version_mismatch");
        for (expected, refusal) in [(None, "stale_write"), (first, "version_mismatch")] {
            let mut prompts = holding();
            prompts.expect_save().returning(|_, _| Err(PortError::Stale));
            let service = service(editor, prompts);
            assert_eq!(code(service.change(&actor(), NAME, say("Te"), expected).await), refusal);
        }
        // Nothing to change: nothing is written.
        let same = say("Talk of tea.");
        service(editor, holding()).change(&actor(), NAME, same, None).await.unwrap();
    }
}
