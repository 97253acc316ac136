//! Renaming, archiving and the like.

use repartee_domain::{
    Version,
    conversations::{
        Conversation, ConversationChanges, ConversationStatus, ConversationStatusName,
    },
};

use super::{ConversationService, MOST_TRIES, check_shape};
use crate::{
    Actor, AppError, Permission,
    ports::{ChangeKind, ConversationReference, PortError},
};

impl ConversationService {
    /// Changes the fields that are named. `expected` is the version that the caller read, where
    /// it says so.
    pub async fn change(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        changes: ConversationChanges,
        expected: Option<Version>,
    ) -> Result<Conversation, AppError> {
        actor.may(Permission::Chat)?;
        for _ in 0..MOST_TRIES {
            let mut conversation = self.find(actor, conversation).await?;
            if expected.is_some_and(|expected| expected != conversation.version) {
                return Err(AppError::VersionMismatch);
            }
            let now = self.clock.now();
            let (before, shape) = (conversation.status, conversation.subject.shape);
            if !conversation.change(changes.clone(), now).map_err(AppError::Invalid)? {
                return Ok(conversation);
            }
            check_shape(&*self.shapes, actor.user, conversation.subject.shape.since(shape)).await?;
            let is_archived = |status| status == ConversationStatus::Archived;
            let told = if is_archived(conversation.status) && !is_archived(before) {
                ChangeKind::ConversationArchived
            } else {
                ChangeKind::ConversationUpdated
            };
            match self.repository.save(conversation, told).await {
                Err(PortError::Stale) if expected.is_some() => {
                    return Err(AppError::VersionMismatch);
                }
                // Something else of it was changed at this moment: its title was written, say.
                Err(PortError::Stale) => {}
                saved => return Ok(saved?),
            }
        }
        Err(PortError::Stale.into())
    }

    /// Puts it out of the way.
    pub async fn archive(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<Conversation, AppError> {
        self.set_status(actor, conversation, ConversationStatusName::Archived).await
    }

    /// Ends it: it takes no messages any more.
    pub async fn end(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<Conversation, AppError> {
        self.set_status(actor, conversation, ConversationStatusName::Ended).await
    }

    /// Opens it again, whatever it is: it takes messages.
    pub async fn reconnect(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<Conversation, AppError> {
        self.set_status(actor, conversation, ConversationStatusName::Active).await
    }

    async fn set_status(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        status: ConversationStatusName,
    ) -> Result<Conversation, AppError> {
        let changes =
            ConversationChanges { status: Some(status), ..ConversationChanges::default() };
        self.change(actor, conversation, changes, None).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{DateTime, Utc};
    use repartee_domain::{
        ConversationId, LoginSessionId, PersonaId, ProjectId, UserId,
        accounts::Role,
        conversations::{Shape, Subject},
    };
    use uuid::Uuid;

    use super::*;
    use crate::{
        Credential, Origin,
        ports::{
            MockClock, MockConversationRepository, MockIdGenerator, MockIdempotencyKeys,
            MockShapeRepository, MockTurnRepository,
        },
        replies::fixture::Fixture,
    };

    const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);
    const ACTOR: Actor = Actor {
        user: UserId::from_uuid(Uuid::from_u128(1)),
        role: Role::User,
        credential: Credential::Session(LoginSessionId::from_uuid(Uuid::from_u128(2))),
        origin: Origin { address: None, user_agent: None, request_id: None },
    };
    const ID: ConversationId = ConversationId::from_uuid(Uuid::from_u128(3));

    fn archive() -> ConversationChanges {
        ConversationChanges {
            status: Some(ConversationStatusName::Archived),
            ..ConversationChanges::default()
        }
    }

    fn holding() -> MockConversationRepository {
        let mut repository = MockConversationRepository::new();
        repository
            .expect_find()
            .withf(|owner, id| *owner == ACTOR.user && *id == ID.into())
            .returning(|owner, _| {
                let code = "ABCDEFGHIJ01".parse().unwrap();
                Ok(Some(Conversation::begin(ID, code, owner, Subject::default(), NOW)))
            });
        repository
    }

    /// In which persona 4 and project 4 alone can be chosen.
    fn shapes() -> MockShapeRepository {
        let mut shapes = MockShapeRepository::new();
        shapes.expect_choosable().returning(|user, asked| {
            assert_eq!(user, ACTOR.user);
            Ok(Shape {
                persona: asked.persona.filter(|id| id.get() == 4),
                project: asked.project.filter(|id| id.get() == 4),
            })
        });
        shapes
    }

    fn service(repository: MockConversationRepository) -> ConversationService {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        ConversationService::new(
            Arc::new(repository),
            Arc::new(MockIdempotencyKeys::new()),
            Arc::new(MockTurnRepository::new()),
            Arc::new(shapes()),
            Fixture::answering([]).service,
            Arc::new(clock),
            Arc::new(MockIdGenerator::new()),
        )
    }

    #[tokio::test]
    async fn archiving_is_saved() {
        let mut repository = holding();
        repository
            .expect_save()
            .withf(|saved, told| {
                saved.status == ConversationStatus::Archived
                    && *told == ChangeKind::ConversationArchived
            })
            .once()
            .returning(|saved, _| Ok(saved));

        service(repository).change(&ACTOR, ID.into(), archive(), None).await.unwrap();
    }

    #[tokio::test]
    async fn what_can_be_chosen_is_saved_and_nothing_else() {
        let choose = |id| ConversationChanges {
            persona: Some(Some(PersonaId::new(id))),
            project: Some(Some(ProjectId::new(id))),
            ..ConversationChanges::default()
        };
        let mut repository = holding();
        repository
            .expect_save()
            .withf(|saved, _| {
                saved.subject.shape.persona == Some(PersonaId::new(4))
                    && saved.subject.shape.project == Some(ProjectId::new(4))
            })
            .once()
            .returning(|saved, _| Ok(saved));
        let service = service(repository);

        service.change(&ACTOR, ID.into(), choose(4), None).await.unwrap();
        let refused = service.change(&ACTOR, ID.into(), choose(5), None).await.unwrap_err();

        let AppError::Invalid(errors) = refused else { panic!("{refused}") };
        let errors: Vec<_> = errors.iter().map(|error| (error.field, error.code)).collect();
        assert_eq!(errors, [("persona_id", "unknown"), ("project_id", "unknown")]);
    }

    #[tokio::test]
    async fn changing_nothing_writes_nothing() {
        let changes = ConversationChanges::default();
        service(holding()).change(&ACTOR, ID.into(), changes, None).await.unwrap();
    }

    #[tokio::test]
    async fn a_version_that_was_overtaken_is_refused() {
        let old = Some(Version::new(9));
        let error = service(holding()).change(&ACTOR, ID.into(), archive(), old).await.unwrap_err();
        assert_eq!(error.classify().1, "version_mismatch");
    }

    #[tokio::test]
    async fn who_names_no_version_need_not_know_of_another_change_at_the_same_moment() {
        let mut repository = holding();
        repository.expect_save().once().returning(|_, _| Err(PortError::Stale));
        repository.expect_save().once().returning(|conversation, _| Ok(conversation));
        let changed = service(repository).change(&ACTOR, ID.into(), archive(), None).await.unwrap();
        assert_eq!(changed.status, ConversationStatus::Archived);
    }

    #[tokio::test]
    async fn the_loser_of_a_race_is_told() {
        for (expected, code) in [(None, "stale_write"), (Some(Version::FIRST), "version_mismatch")]
        {
            let mut repository = holding();
            repository.expect_save().returning(|_, _| Err(PortError::Stale));
            let error = service(repository)
                .change(&ACTOR, ID.into(), archive(), expected)
                .await
                .unwrap_err();
            assert_eq!(error.classify().1, code);
        }
    }
}
