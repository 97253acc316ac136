//! Rating a reply.

use repartee_domain::{
    FieldError,
    messages::{Feedback, Message, MessageRole, Rating},
};

use super::{MessageService, find_in};
use crate::{
    Actor, AppError, Permission,
    ports::{ConversationReference, MessageReference},
};

impl MessageService {
    /// Stores what a user thinks of a reply, in place of what they thought before; `None` takes it
    /// back.
    ///
    /// # Errors
    /// [`AppError::Invalid`] for what is no reply.
    pub async fn rate(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        message: MessageReference,
        rating: Option<(Rating, Option<String>)>,
    ) -> Result<Message, AppError> {
        actor.may(Permission::Chat)?;
        let mut message = self.find(actor, conversation, message).await?;
        if message.role != MessageRole::Assistant {
            let detail = "must name a reply: others are not rated";
            return Err(AppError::invalid(FieldError::new("message_id", "invalid", detail)));
        }
        let now = self.clock.now();
        let feedback = rating.map(|(rating, comment)| Feedback::give(rating, comment, now));
        let feedback = feedback.transpose().map_err(AppError::invalid)?;
        if !self.messages.rate(actor.user, message.id, feedback.clone()).await? {
            // It was deleted with its conversation.
            return Err(AppError::MESSAGE_NOT_FOUND);
        }
        message.feedback = feedback;
        Ok(message)
    }

    /// One message of a conversation.
    pub async fn find(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        message: MessageReference,
    ) -> Result<Message, AppError> {
        actor.may(Permission::Read)?;
        let (conversations, messages) = (&*self.conversations, &*self.messages);
        find_in(conversations, messages, actor.user, conversation, message).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mockall::predicate::{always, eq};
    use repartee_domain::Reference;
    use uuid::Uuid;

    use super::*;
    use crate::{
        ports::{
            MockClock, MockConversationRepository, MockIdGenerator, MockIdempotencyKeys,
            MockMessageRepository, MockTurnRepository,
        },
        replies::fixture::{ACTOR, CONVERSATION, START, said},
    };

    async fn rate(messages: MockMessageRepository, comment: &str) -> Result<Message, AppError> {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(START);
        let mut conversations = MockConversationRepository::new();
        conversations.expect_find().returning(|_, _| Ok(None));
        let service = MessageService::new(
            Arc::new(conversations),
            Arc::new(messages),
            Arc::new(MockTurnRepository::new()),
            Arc::new(MockIdempotencyKeys::new()),
            Arc::new(clock),
            Arc::new(MockIdGenerator::new()),
        );
        let message = Reference::Code("AAAAAAAAAA".parse().unwrap());
        let rating = Some((Rating::Down, Some(comment.to_owned())));
        service.rate(&ACTOR, CONVERSATION.into(), message, rating).await
    }

    fn holding(role: MessageRole) -> MockMessageRepository {
        let mut messages = MockMessageRepository::new();
        messages.expect_find_in().returning(move |_, _, _| Ok(Some(said(1, role, "Tea"))));
        messages
    }

    #[tokio::test]
    async fn a_reply_is_rated() {
        let given = Feedback { rating: Rating::Down, comment: Some("Cold".into()), at: START };
        let mut messages = holding(MessageRole::Assistant);
        let expected = (eq(ACTOR.user), always(), eq(Some(given.clone())));
        messages
            .expect_rate()
            .with(expected.0, expected.1, expected.2)
            .returning(|_, _, _| Ok(true));

        assert_eq!(rate(messages, "Cold").await.unwrap().feedback, Some(given));
    }

    #[tokio::test]
    async fn a_question_is_not() {
        let refused = rate(holding(MessageRole::User), "Cold").await.unwrap_err();
        let AppError::Invalid(errors) = refused else { panic!("{refused:?}") };
        assert_eq!(errors[0].field, "message_id");
    }

    #[tokio::test]
    async fn nothing_is_stored_of_a_comment_that_is_too_long() {
        let refused = rate(holding(MessageRole::Assistant), &"a".repeat(2_001)).await.unwrap_err();
        assert_eq!(refused.classify().1, "invalid_fields");
    }

    #[tokio::test]
    async fn a_conversation_that_is_not_there_is_told_before_its_message() {
        let mut messages = MockMessageRepository::new();
        messages.expect_find_in().returning(|_, _, _| Ok(None));
        let refused = rate(messages, "Cold").await.unwrap_err();
        assert_eq!(refused.classify().1, "conversation_not_found");
        assert_ne!(CONVERSATION.as_uuid(), Uuid::nil());
    }
}
