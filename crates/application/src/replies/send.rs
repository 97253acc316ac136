//! Asking for a reply.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use repartee_domain::{
    FieldError, GenerationId, MessageId, Text,
    accounts::Role,
    conversations::Conversation,
    messages::{Message, MessageRole},
    replies::{Failure, Generation},
};
use tokio::sync::oneshot;

use super::keys;
use super::{
    LEASE, ReplyService, Shared,
    runner::{Job, Refused},
};
use crate::{
    Actor, AppError, IdempotencyKey, Permission,
    conversations::key_about,
    guests::expiry,
    models::Model,
    ports::{ConversationReference, EventStream, NewTurn, PortError, TurnBudget},
};

/// Characters in a model's name.
const MAX_MODEL: usize = 200;
pub(crate) const RETRY_AFTER_SHUTDOWN: Duration = Duration::from_secs(5);
/// How often a prompt is assembled for one question. Only who talks in the same conversation from
/// elsewhere makes it more than once.
const MOST_TRIES: u32 = 5;

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
    /// whatever becomes of the caller. Where the key was used for the same question before, that
    /// turn is given again: one question, one reply, one bill.
    ///
    /// # Errors
    /// Nothing is stored when it fails, unless the database went away during the commit: then the
    /// turn may be there, and is settled as interrupted.
    pub async fn send(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Begun, AppError> {
        actor.may(Permission::Chat)?;
        let shared = &self.shared;
        let conversations = &*shared.ports.conversations;
        let key = key_about(conversations, actor.user, conversation, key).await?;
        if let Some(key) = &key
            && let Some(begun) = shared.begun_before(self, actor, key).await?
        {
            return Ok(begun);
        }
        for _ in 0..MOST_TRIES {
            match self.begin(actor, conversation, &message, key.as_ref()).await {
                // A reply ended, or something else was said, between reading and storing.
                Err(Refused::Outdated) => {}
                Ok(begun) => return Ok(begun),
                Err(Refused::App(error)) => return Err(error),
                Err(Refused::KeyUsed(used)) => {
                    let key = key.as_ref().ok_or(AppError::Reply(Failure::Internal))?;
                    return self.again(actor, key, used).await;
                }
            }
        }
        Err(PortError::Stale.into())
    }

    /// Assembles the prompt, and begins the turn unless more has been said meanwhile.
    async fn begin(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        message: &NewMessage,
        key: Option<&IdempotencyKey>,
    ) -> Result<Begun, Refused> {
        let shared = &self.shared;
        // Before looking: whoever shuts down waits for it.
        let running = shared.running.token();
        if shared.is_draining.load(SeqCst) {
            return Err(AppError::ShuttingDown { retry_after: RETRY_AFTER_SHUTDOWN }.into());
        }
        let found = shared.ports.conversations.find(actor.user, conversation).await?;
        let conversation = found.ok_or(AppError::CONVERSATION_NOT_FOUND)?;
        message.check()?;
        if message.model.is_some() {
            actor.may_name_a_model()?;
        }
        let content = Message::parse_content(message.content.clone()).map_err(AppError::invalid)?;
        conversation.accept_message().map_err(AppError::from)?;
        let name = message.model.as_deref().or(conversation.subject.model.as_deref());
        let models = shared.ports.models.resolve_for(actor, name).await?;
        let prompt = shared.prompt(&conversation, content.as_str(), None, &models).await?;

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
        let budget = shared.budget(actor, &models, &prompt.turns, message.max_tokens);
        let job = Job {
            turn: NewTurn {
                budget,
                seen: prompt.seen,
                ..shared.new_turn(actor, &conversation, question, &models, key)
            },
            models,
            turns: prompt.turns,
            temperature: message.temperature,
            max_tokens: message.max_tokens,
            untitled: shared.is_to_be_titled(actor, &conversation).then(|| actor.clone()),
        };
        // From here on the caller may go away: the task stores the question and writes the reply
        // all the same.
        let (answer, begun) = oneshot::channel();
        shared.spawn_runner(job, running, answer);
        begun.await.unwrap_or(Err(Refused::App(AppError::Reply(Failure::Internal))))
    }
}

impl Shared {
    fn is_to_be_titled(&self, actor: &Actor, conversation: &Conversation) -> bool {
        let is_untitled = conversation.subject.title.is_none() && actor.role != Role::Guest;
        is_untitled && self.untitled.get().is_some()
    }

    fn new_turn(
        &self,
        actor: &Actor,
        conversation: &Conversation,
        question: Message,
        models: &[Model],
        key: Option<&IdempotencyKey>,
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
            api_key: actor.key().map(|key| key.id),
            conversation: conversation.id,
            user_message: question.id,
            message,
            model,
            created_at: now,
        };
        NewTurn {
            question,
            reply,
            generation,
            lease_owner: self.owner,
            lease_until: now + LEASE,
            key: key.map(|key| key.on(keys::ROUTE, now)),
            most_running: self.rules.most_per_user,
            budget: TurnBudget::default(),
            seen: 0,
            expires_at: (actor.role == Role::Guest).then(|| expiry(now, self.rules.guests_kept)),
        }
    }
}

impl NewMessage {
    /// Whether it can be sent at all, before anything is made for it.
    pub(crate) fn check_whole(&self) -> Result<(), AppError> {
        self.check()?;
        Message::parse_content(self.content.clone()).map(drop).map_err(AppError::invalid)
    }

    fn check(&self) -> Result<(), AppError> {
        check(self.model.as_deref(), self.temperature, self.max_tokens)
    }
}

/// How a model may be asked.
pub(crate) fn check(
    model: Option<&str>,
    temperature: Option<f32>,
    max_tokens: Option<u32>,
) -> Result<(), AppError> {
    let mut errors = Vec::new();
    if temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
        errors.push(FieldError::new("temperature", "out_of_range", "must be from 0 to 2"));
    }
    if max_tokens == Some(0) {
        errors.push(FieldError::new("max_tokens", "out_of_range", "must be at least 1"));
    }
    if let Some(model) = model {
        let checked = Text::parse(model.to_owned(), MAX_MODEL);
        errors.extend(checked.err().map(|error| error.in_field("model")));
    }
    if errors.is_empty() { Ok(()) } else { Err(AppError::Invalid(errors)) }
}
