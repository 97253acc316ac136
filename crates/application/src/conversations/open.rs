//! Going on where one was, or beginning: for clients that choose the id of a conversation.

use repartee_domain::{
    ConversationId,
    conversations::{Conversation, ConversationChanges, Subject},
};

use super::{ConversationService, check_shape, with_shape};
use crate::{
    Actor, AppError, IdempotencyKey, Permission,
    idempotency::Making,
    ports::{ConversationReference, PortError},
    replies::NewMessage,
};

/// Where the keys of messages are used that begin a conversation.
const KEY_ROUTE: &str = "conversations/open";

impl ConversationService {
    /// One's own conversation with this id, with the persona that `about` names, where it names
    /// one; where nobody has the id, a conversation begins, with what `about` says of it. Without
    /// an id it always does. Nothing is begun or changed for a message that cannot be sent.
    /// Where the key was used for the same before, that conversation is given again.
    ///
    /// # Errors
    /// [`AppError::NotFound`] where it is somebody else's.
    pub async fn open(
        &self,
        actor: &Actor,
        id: Option<ConversationId>,
        about: ConversationChanges,
        first: &NewMessage,
        key: Option<&IdempotencyKey>,
    ) -> Result<Conversation, AppError> {
        actor.may(Permission::Chat)?;
        let now = self.clock.now();
        if let Some(id) = id
            && let Some(found) = self.repository.find(actor.user, reference(id)).await?
        {
            first.check_whole()?;
            return with_shape(&*self.repository, &*self.shapes, found, &about, now).await;
        }
        // A conversation that is named is the same whoever asks how often.
        let making = Making::new(actor.user, KEY_ROUTE, key.filter(|_| id.is_none()), now);
        if let Some(made) = making.made_before(&*self.keys).await? {
            return self.again(actor, ConversationId::from_uuid(made)).await;
        }
        first.check_whole()?;
        let subject = Subject::default().with(&about).map_err(AppError::Invalid)?;
        check_shape(&*self.shapes, actor.user, subject.shape).await?;
        let id = id.unwrap_or_else(|| ConversationId::from_uuid(self.ids.id()));
        let begun = Conversation::begin(id, self.ids.code(), actor.user, subject, now);
        match self.repository.insert(begun.clone(), making.new_key()).await {
            Ok(None) => Ok(begun),
            Ok(Some(used)) => {
                self.again(actor, ConversationId::from_uuid(making.made_by(used)?)).await
            }
            // Somebody else's; or another request of the caller's was faster.
            Err(PortError::Taken { .. }) => {
                let found = self.repository.find(actor.user, reference(id)).await?;
                found.ok_or(AppError::CONVERSATION_NOT_FOUND)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn reference(id: ConversationId) -> ConversationReference {
    id.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use repartee_domain::{PersonaId, conversations::Shape};
    use uuid::Uuid;

    use super::*;
    use crate::{
        ports::{
            MockClock, MockConversationRepository, MockIdGenerator, MockIdempotencyKeys,
            MockShapeRepository, MockTurnRepository,
        },
        replies::fixture::{ACTOR, Fixture, START},
    };

    const ID: ConversationId = ConversationId::from_uuid(Uuid::from_u128(9));

    fn service(repository: MockConversationRepository) -> ConversationService {
        let mut shapes = MockShapeRepository::new();
        shapes.expect_choosable().returning(|_, asked| Ok(asked));
        let mut clock = MockClock::new();
        clock.expect_now().return_const(START);
        let mut ids = MockIdGenerator::new();
        ids.expect_random().return_const([7; 32]);
        ids.expect_id().return_const(Uuid::from_u128(77));
        ConversationService::new(
            Arc::new(repository),
            Arc::new(MockIdempotencyKeys::new()),
            Arc::new(MockTurnRepository::new()),
            Arc::new(shapes),
            Fixture::answering([]).service,
            Arc::new(clock),
            Arc::new(ids),
        )
    }

    fn message(content: &str) -> NewMessage {
        NewMessage { content: content.into(), ..NewMessage::default() }
    }

    async fn open(
        repository: MockConversationRepository,
        content: &str,
    ) -> Result<Conversation, AppError> {
        let about = ConversationChanges::default();
        service(repository).open(&ACTOR, Some(ID), about, &message(content), None).await
    }

    #[tokio::test]
    async fn an_id_that_nobody_has_begins_a_conversation() {
        let mut repository = MockConversationRepository::new();
        repository.expect_find().returning(|_, _| Ok(None));
        let is_it = |begun: &Conversation, _: &_| begun.id == ID && begun.owner == ACTOR.user;
        repository.expect_insert().withf(is_it).once().returning(|_, _| Ok(None));

        assert_eq!(open(repository, "Hello").await.unwrap().id, ID);
    }

    #[tokio::test]
    async fn another_persona_is_saved_and_the_same_is_not() {
        let with = |id| Shape { persona: Some(PersonaId::new(id)), project: None };
        let mut repository = MockConversationRepository::new();
        repository.expect_find().returning(move |owner, _| {
            let code = "ABCDEFGHIJ01".parse().unwrap();
            let subject = Subject { shape: with(4), ..Subject::default() };
            Ok(Some(Conversation::begin(ID, code, owner, subject, START)))
        });
        repository
            .expect_save()
            .withf(move |saved, _| saved.subject.shape == with(5))
            .once()
            .returning(|saved, _| Ok(saved));
        let service = service(repository);
        for (named, expected) in
            [(None, 4), (Some(None), 4), (Some(with(4).persona), 4), (Some(with(5).persona), 5)]
        {
            let about = ConversationChanges { persona: named, ..ConversationChanges::default() };
            let opened =
                service.open(&ACTOR, Some(ID), about.clone(), &message("Hello"), None).await;
            assert_eq!(opened.unwrap().subject.shape, with(expected));
            let refused =
                service.open(&ACTOR, Some(ID), about, &message(" "), None).await.unwrap_err();
            assert_eq!(refused.classify().1, "invalid_fields");
        }
    }

    #[tokio::test]
    async fn somebody_elses_is_not_there() {
        let mut repository = MockConversationRepository::new();
        repository.expect_find().returning(|_, _| Ok(None));
        repository.expect_insert().returning(|_, _| Err(PortError::Taken { field: "id" }));

        let refused = open(repository, "Hello").await.unwrap_err();

        assert_eq!(refused.classify().1, "conversation_not_found");
    }

    #[tokio::test]
    async fn nothing_is_begun_for_a_message_that_cannot_be_sent() {
        let mut repository = MockConversationRepository::new();
        repository.expect_find().returning(|_, _| Ok(None));

        let refused = open(repository, " ").await.unwrap_err();

        assert_eq!(refused.classify().1, "invalid_fields");
    }
}
