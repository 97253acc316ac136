//! Who is in a project, and what they may do there. For its owner.

use repartee_domain::{
    ProjectId, UserId,
    audit::Action,
    projects::{ProjectDeed, ProjectRole},
};

use super::{ProjectService, member};
use crate::{
    Actor, AppError, Page, PageRequest, Permission,
    ports::{PortError, ProjectMember, UserReference},
};

/// Members of a project, its owner among them.
const MOST: u32 = 100;

impl ProjectService {
    /// In the order in which they became users.
    pub async fn members(
        &self,
        actor: &Actor,
        id: ProjectId,
        page: PageRequest<UserId>,
    ) -> Result<Page<ProjectMember, UserId>, AppError> {
        actor.may(Permission::ReadProjects)?;
        member(&*self.projects, actor, id, ProjectDeed::Manage).await?;
        Ok(self.projects.members(id, page).await?)
    }

    /// Lets a user in, or gives a member another role.
    ///
    /// # Errors
    /// [`AppError::OwnerStays`] where that is the owner.
    pub async fn put_member(
        &self,
        actor: &Actor,
        id: ProjectId,
        user: UserReference,
        role: ProjectRole,
    ) -> Result<ProjectMember, AppError> {
        actor.may(Permission::ShareProjects)?;
        let project = member(&*self.projects, actor, id, ProjectDeed::Manage).await?.project;
        let user = self.users.find(user).await?.ok_or(AppError::USER_NOT_FOUND)?.id;
        if user == project.owner {
            return Err(AppError::OwnerStays);
        }
        let now = self.clock.now();
        let entry = actor.did(Action::ProjectShared, now).on("project", id);
        let entry = entry.with("user", user.to_string()).with("role", role.as_str());
        match self.projects.put_member(id, user, role, MOST, now, entry).await {
            Err(PortError::Stale) => Err(AppError::USER_NOT_FOUND),
            put => put?.ok_or(AppError::TooMany("members")),
        }
    }

    /// From now on the project is not there for them, and their conversations in it are shaped by
    /// it no more.
    ///
    /// # Errors
    /// [`AppError::OwnerStays`] where that is the owner.
    pub async fn remove_member(
        &self,
        actor: &Actor,
        id: ProjectId,
        user: UserReference,
    ) -> Result<(), AppError> {
        actor.may(Permission::ShareProjects)?;
        let project = member(&*self.projects, actor, id, ProjectDeed::Manage).await?.project;
        let user = self.users.find(user).await?.ok_or(AppError::MEMBER_NOT_FOUND)?.id;
        if user == project.owner {
            return Err(AppError::OwnerStays);
        }
        let entry = actor.did(Action::ProjectUnshared, self.clock.now()).on("project", id);
        let entry = entry.with("user", user.to_string());
        if self.projects.remove_member(id, user, entry).await? {
            Ok(())
        } else {
            Err(AppError::MEMBER_NOT_FOUND)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use repartee_domain::{Reference, accounts::User};
    use uuid::Uuid;

    use super::{super::fixture::*, *};
    use crate::{
        accounts::fixture::ada,
        ports::{MockProjectRepository, MockUserDirectory},
    };

    const GRACE: UserId = UserId::from_uuid(Uuid::from_u128(77));

    /// In which Grace and the actor are users.
    fn service(projects: MockProjectRepository) -> ProjectService {
        let mut users = MockUserDirectory::new();
        users.expect_find().returning(|user| {
            let Reference::Id(id) = user else { return Ok(None) };
            let is_known = [GRACE, actor().user].contains(&id);
            Ok(is_known.then(|| User { id, ..ada() }))
        });
        let (keys, clock) = (keys("projects", None), clock());
        ProjectService::new(Arc::new(projects), Arc::new(users), Arc::new(keys), Arc::new(clock))
    }

    fn owned() -> MockProjectRepository {
        joined(Some(ProjectRole::Owner))
    }

    fn code<T>(result: Result<T, AppError>) -> &'static str {
        result.err().map_or("fine", |error| error.classify().1)
    }

    #[tokio::test]
    async fn the_owner_lets_somebody_in_and_the_audit_log_tells() {
        let mut projects = owned();
        projects
            .expect_put_member()
            .withf(|id, user, role, most, _, entry| {
                (*id, *user, *role, *most) == (PROJECT, GRACE, ProjectRole::Editor, 100)
                    && entry.action == Action::ProjectShared
                    && entry.details["role"] == "editor"
            })
            .once()
            .returning(|_, user, role, _, added_at, _| {
                Ok(Some(ProjectMember { user, username: None, role, added_at }))
            });
        let put = service(projects)
            .put_member(&actor(), PROJECT, GRACE.into(), ProjectRole::Editor)
            .await
            .unwrap();
        assert_eq!((put.user, put.added_at), (GRACE, NOW));
    }

    #[tokio::test]
    async fn nobody_but_the_owner_sees_or_changes_who_is_in_it() {
        let page = PageRequest { limit: 20, after: None };
        for (role, expected) in
            [(None, "project_not_found"), (Some(ProjectRole::Editor), "forbidden")]
        {
            let service = service(joined(role));
            let (actor, grace) = (actor(), Reference::Id(GRACE));
            let viewer = ProjectRole::Viewer;
            assert_eq!(code(service.members(&actor, PROJECT, page).await), expected);
            assert_eq!(code(service.put_member(&actor, PROJECT, grace, viewer).await), expected);
            assert_eq!(code(service.remove_member(&actor, PROJECT, grace).await), expected);
        }
    }

    #[tokio::test]
    async fn the_owner_is_neither_demoted_nor_removed() {
        let (service, owner) = (service(owned()), Reference::Id(actor().user));
        let demoted = service.put_member(&actor(), PROJECT, owner, ProjectRole::Viewer).await;
        assert_eq!(code(demoted), "owner_stays");
        assert_eq!(code(service.remove_member(&actor(), PROJECT, owner).await), "owner_stays");
    }

    #[tokio::test]
    async fn who_is_not_there_is_told_apart_from_who_is_no_member() {
        let mut projects = owned();
        projects.expect_remove_member().returning(|_, _, _| Ok(false));
        projects.expect_put_member().returning(|_, _, _, _, _, _| Ok(None));
        let (service, actor) = (service(projects), actor());
        let nobody = Reference::Id(UserId::from_uuid(Uuid::from_u128(99)));
        let put = async |user| service.put_member(&actor, PROJECT, user, ProjectRole::Viewer).await;
        assert_eq!(code(put(nobody).await), "user_not_found");
        assert_eq!(code(put(GRACE.into()).await), "too_many_members");
        for user in [nobody, GRACE.into()] {
            let removed = service.remove_member(&actor, PROJECT, user).await;
            assert_eq!(code(removed), "member_not_found");
        }
    }
}
