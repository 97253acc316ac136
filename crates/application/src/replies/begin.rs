//! A reply begins: what is asked, its place, its prompt.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use repartee_domain::{
    GenerationId, MessageId, Text,
    accounts::Role,
    conversations::{Branching, Conversation},
    messages::{Message, MessageRole},
    replies::{Failure, Generation},
};
use tokio::sync::oneshot;

use super::{
    LEASE, ReplyService, Shared, keys,
    runner::{Job, Refused},
    send::{Begun, ReplyOptions},
};
use crate::{
    Actor, AppError, IdempotencyKey,
    guests::expiry,
    messages::{MOST_TRIES, Spot},
    models::Model,
    ports::{ConversationReference, NewTurn, PortError, Question, TurnBudget},
};

pub(crate) const RETRY_AFTER_SHUTDOWN: Duration = Duration::from_secs(5);

/// What is to be answered, and how.
pub(super) struct Asking {
    pub(super) conversation: ConversationReference,
    pub(super) asked: Asked,
    pub(super) options: ReplyOptions,
}

pub(super) enum Asked {
    Now {
        content: String,
        spot: Spot,
    },
    /// It is stored already.
    Before(Box<Message>),
}

/// As [`Asked`], looked at.
enum Parsed<'a> {
    Now(Text),
    Before(&'a Message),
}

impl Asked {
    /// What was brought from elsewhere may be longer than what is said here.
    fn parse(&self) -> Result<Parsed<'_>, AppError> {
        Ok(match self {
            Self::Now { content, .. } => {
                Parsed::Now(Message::parse_content(content.clone()).map_err(AppError::invalid)?)
            }
            Self::Before(question) => Parsed::Before(question),
        })
    }
}

impl Parsed<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Now(content) => content.as_str(),
            Self::Before(question) => &question.content,
        }
    }
}

impl ReplyService {
    /// Begins the reply, or gives the one again that was begun under the key.
    pub(super) async fn ask(
        &self,
        actor: &Actor,
        asking: &Asking,
        key: Option<IdempotencyKey>,
    ) -> Result<Begun, AppError> {
        if let Some(key) = &key
            && let Some(begun) = self.shared.begun_before(self, actor, key).await?
        {
            return Ok(begun);
        }
        for _ in 0..MOST_TRIES {
            match self.begin(actor, asking, key.as_ref()).await {
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
        asking: &Asking,
        key: Option<&IdempotencyKey>,
    ) -> Result<Begun, Refused> {
        let shared = &self.shared;
        // Before looking: whoever shuts down waits for it.
        let running = shared.running.token();
        if shared.is_draining.load(SeqCst) {
            return Err(AppError::ShuttingDown { retry_after: RETRY_AFTER_SHUTDOWN }.into());
        }
        let Asking { conversation, asked, options } = asking;
        let found = shared.ports.conversations.find(actor.user, *conversation).await?;
        let conversation = found.ok_or(AppError::CONVERSATION_NOT_FOUND)?;
        options.check()?;
        if options.model.is_some() {
            actor.may_name_a_model()?;
        }
        let spot = match asked {
            Asked::Now { spot, .. } => *spot,
            Asked::Before(question) => Spot::At(question.id),
        };
        let asked = asked.parse()?;
        conversation.accept_message().map_err(AppError::from)?;
        let name = options.model.as_deref().or(conversation.subject.model.as_deref());
        let models = shared.ports.models.resolve_for(actor, name).await?;
        let found = spot.find(&*shared.ports.turns, &conversation).await?;
        let prompt = shared.prompt(&conversation, asked.text(), found.past, &models).await?;

        let question = match asked {
            Parsed::Now(content) => Question::New(Message::said(
                MessageId::from_uuid(shared.ports.ids.id()),
                shared.ports.ids.code(),
                conversation.id,
                found.parent,
                MessageRole::User,
                content,
                shared.ports.clock.now(),
            )),
            Parsed::Before(stored) => {
                Question::Stored(Message { parent: found.parent, ..Message::clone(stored) })
            }
        };
        let budget = shared.budget(actor, &models, &prompt.turns, options.max_tokens);
        let job = Job {
            turn: NewTurn {
                budget,
                branching: found.place.branching,
                // What was read first shows the least.
                seen: found.place.seen.unwrap_or(prompt.seen),
                ..shared.new_turn(actor, &conversation, question, &models, key)
            },
            models,
            turns: prompt.turns,
            temperature: options.temperature,
            max_tokens: options.max_tokens,
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
        question: Question,
        models: &[Model],
        key: Option<&IdempotencyKey>,
    ) -> NewTurn {
        let ids = &self.ports.ids;
        let now = self.ports.clock.now();
        let model = models.first().map(|model| model.id.clone()).unwrap_or_default();
        let id = GenerationId::from_uuid(ids.id());
        let message = MessageId::from_uuid(ids.id());
        let asked = question.message();
        let reply = Message::to_be_written(message, ids.code(), asked, id, model.clone(), now);
        let generation = Generation {
            id,
            owner: conversation.owner,
            api_key: actor.key().map(|key| key.id),
            conversation: conversation.id,
            user_message: asked.id,
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
            branching: Branching::Linear,
            seen: 0,
            expires_at: (actor.role == Role::Guest).then(|| expiry(now, self.rules.guests_kept)),
        }
    }
}
