//! Asking for a reply.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use repartee_domain::{
    FieldError, GenerationId, MessageId, Text,
    conversations::Conversation,
    messages::{Message, MessageRole},
    replies::{Failure, Generation},
};
use tokio::sync::oneshot;

use super::{LEASE, ReplyService, Shared, runner::Job};
use crate::{
    Actor, AppError,
    models::Model,
    ports::{ConversationReference, EventStream, NewTurn},
};

/// Characters in a model's name.
const MAX_MODEL: usize = 200;
const RETRY_AFTER_SHUTDOWN: Duration = Duration::from_secs(5);

/// A question, as it comes in.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    pub content: String,
    /// The model to ask, by its name here; the conversation's or the default where there is none.
    pub model: Option<String>,
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// The longest reply, in tokens.
    pub max_tokens: Option<u32>,
}

/// A reply that is being written.
pub struct Begun {
    pub question: Message,
    pub generation: Generation,
    /// All of its events, from the first.
    pub events: EventStream,
}

impl ReplyService {
    /// Stores the question and begins the reply. From then on the reply is written to its end,
    /// whatever becomes of the caller.
    ///
    /// # Errors
    /// Nothing is stored when it fails.
    pub async fn send(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        message: NewMessage,
    ) -> Result<Begun, AppError> {
        let shared = &self.shared;
        // Before looking: whoever shuts down waits for it.
        let running = shared.running.token();
        if shared.is_draining.load(SeqCst) {
            return Err(AppError::ShuttingDown { retry_after: RETRY_AFTER_SHUTDOWN });
        }
        let found = shared.ports.conversations.find(actor.user, conversation).await?;
        let conversation = found.ok_or(AppError::CONVERSATION_NOT_FOUND)?;
        message.check()?;
        let content = Message::parse_content(message.content).map_err(AppError::invalid)?;
        conversation.accept_message()?;
        let name = message.model.as_deref().or(conversation.subject.model.as_deref());
        let models = shared.ports.models.resolve(name).await?;
        let turns = shared.prompt(&conversation, content.as_str(), &models).await?;

        let now = shared.ports.clock.now();
        let question = Message::said(
            MessageId::from_uuid(shared.ports.ids.id()),
            shared.ports.ids.code(),
            conversation.id,
            None,
            MessageRole::User,
            content,
            now,
        );
        let job = Job {
            turn: shared.new_turn(&conversation, question, &models),
            models,
            turns,
            temperature: message.temperature,
            max_tokens: message.max_tokens,
        };
        // From here on the caller may go away: the task stores the question and writes the reply
        // all the same.
        let (answer, begun) = oneshot::channel();
        shared.spawn_runner(job, running, answer);
        begun.await.unwrap_or(Err(AppError::Reply(Failure::Internal)))
    }
}

impl Shared {
    fn new_turn(
        &self,
        conversation: &Conversation,
        question: Message,
        models: &[Model],
    ) -> NewTurn {
        let ids = &self.ports.ids;
        let now = question.created_at;
        let model = models.first().map(|model| model.id.clone()).unwrap_or_default();
        let id = GenerationId::from_uuid(ids.id());
        let message = MessageId::from_uuid(ids.id());
        let reply = Message::to_be_written(message, ids.code(), &question, id, model.clone(), now);
        let generation = Generation {
            id,
            owner: conversation.owner,
            conversation: conversation.id,
            user_message: question.id,
            message,
            model,
            created_at: now,
        };
        NewTurn { question, reply, generation, lease_owner: self.owner, lease_until: now + LEASE }
    }
}

impl NewMessage {
    fn check(&self) -> Result<(), AppError> {
        let mut errors = Vec::new();
        if self.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
            errors.push(FieldError::new("temperature", "out_of_range", "must be from 0 to 2"));
        }
        if self.max_tokens == Some(0) {
            errors.push(FieldError::new("max_tokens", "out_of_range", "must be at least 1"));
        }
        if let Some(model) = self.model.clone() {
            let checked = Text::parse(model, MAX_MODEL);
            errors.extend(checked.err().map(|error| error.in_field("model")));
        }
        if errors.is_empty() { Ok(()) } else { Err(AppError::Invalid(errors)) }
    }
}
