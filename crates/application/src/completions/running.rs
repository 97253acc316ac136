//! A completion under way, and what becomes of it when nobody reads it any more.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use repartee_domain::{
    FieldError,
    limits::Month,
    replies::{Failure, Usage},
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Shared;
use crate::{
    Actor, AppError,
    asking::{Asked, Attempt, Unanswered, try_models},
    models::Model,
    ports::{ModelError, NewSpending, PortError, Reserved, Spending, TurnBudget},
    replies::{Place, RETRY_AFTER_SHUTDOWN, Room},
};

/// When one of a user's completions may have ended.
const RETRY_AFTER_A_COMPLETION: Duration = Duration::from_secs(5);
/// Before settling is tried again. What stays unsettled expires.
const WAITS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(5)];

/// How much longer than it may take a completion counts as running, in case its process went away.
const GRACE: TimeDelta = TimeDelta::minutes(1);

/// However it ends, and be it that its caller goes away, what it used is counted, and its model is
/// stopped.
pub(super) struct Running {
    shared: Arc<Shared>,
    spending: Spending,
    room: Room,
    /// Among what is written at once.
    place: Option<Place>,
    pub(super) began_at: DateTime<Utc>,
    pub(super) deadline: Instant,
    pub(super) bill: Bill,
    phase: Phase,
    /// Whether something may be reserved that is not settled yet.
    is_open: bool,
}

/// What has to be known for one to begin.
pub(super) struct Opening {
    /// How long it may take in all.
    pub(super) limit: Duration,
    /// As in [`NewSpending`].
    pub(super) most_running: Option<u32>,
    pub(super) budget: TurnBudget,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Asking,
    Answering,
    Over,
}

/// What is known of what it used.
#[derive(Default)]
pub(super) struct Bill {
    asked: Asked,
    pub(super) prompt: Vec<String>,
    /// What of the prompt came as tokens.
    pub(super) tokens: u32,
    /// The answer so far.
    pub(super) text: String,
    /// The provider's own count.
    pub(super) usage: Option<Usage>,
}

impl Running {
    /// Reserves what it may take; gives how many tokens there are.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        actor: &Actor,
        room: Room,
        opening: Opening,
    ) -> Result<(Self, u64), AppError> {
        let Opening { limit, most_running, budget } = opening;
        let ports = &shared.ports;
        let spending = Spending {
            id: ports.ids.id(),
            owner: actor.user,
            api_key: actor.key().map(|key| key.id),
        };
        let began_at = ports.clock.now();
        let wish = NewSpending {
            spending: spending.clone(),
            began_at,
            expires_at: began_at + TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX) + GRACE,
            most_running,
            budget,
        };
        let mut running = Self {
            shared: Arc::clone(shared),
            spending,
            room,
            began_at,
            deadline: Instant::now() + limit,
            place: None,
            bill: Bill::default(),
            phase: Phase::Waiting,
            is_open: false,
        };
        let tokens = running.reserve(wish).await?;
        Ok((running, tokens))
    }

    pub(super) fn id(&self) -> Uuid {
        self.spending.id
    }

    /// Gives how many tokens there are.
    async fn reserve(&mut self, wish: NewSpending) -> Result<u64, AppError> {
        let now = wish.began_at;
        // From here on: who goes away meanwhile may have reserved.
        self.is_open = true;
        let reserved = self.shared.ports.budgets.reserve(wish).await?;
        let refusal = match reserved {
            Reserved::Tokens(tokens) => return Ok(tokens),
            Reserved::OverBudget => {
                AppError::BudgetExceeded { retry_after: Month::of(now).left(now) }
            }
            Reserved::TooManyRunning => {
                AppError::TooManyGenerations { retry_after: RETRY_AFTER_A_COMPLETION }
            }
        };
        self.is_open = false;
        Err(refusal)
    }

    /// Asks, unless it has to end before. Where nobody answers, that is settled.
    pub(super) async fn ask<A: Attempt>(
        &mut self,
        models: &[Model],
        attempts: &mut A,
        name: &str,
    ) -> Result<(Model, A::Answer), AppError> {
        let (shutdown, deadline) = (self.room.shutdown.clone(), self.deadline);
        let answered = tokio::select! {
            biased;
            error = stopped(&shutdown, deadline) => Err(error),
            answered = self.ask_in_turn(models, attempts) => {
                answered.map_err(|unanswered| why(unanswered, name))
            }
        };
        if answered.is_err() {
            self.settle(false).await;
        }
        answered
    }

    /// Waits for a place, and asks.
    async fn ask_in_turn<A: Attempt>(
        &mut self,
        models: &[Model],
        attempts: &mut A,
    ) -> Result<(Model, A::Answer), Unanswered> {
        self.place = Some(self.room.place(self.spending.owner).await);
        self.phase = Phase::Asking;
        let ports = self.shared.ask_ports();
        let answered = try_models(ports, models, attempts, &mut self.bill.asked).await;
        self.phase = if answered.is_ok() { Phase::Answering } else { Phase::Over };
        answered
    }

    /// Resolves when it has to stop where it is.
    pub(super) async fn stopped(&self) {
        self.room.shutdown.cancelled().await;
    }

    /// Counts what was used; gives it.
    pub(super) async fn settle(&mut self, has_answered: bool) -> Usage {
        self.leave(has_answered);
        let usage = self.bill.usage().await;
        self.bill.usage = Some(usage);
        if settle(&self.shared, &self.spending, usage).await.is_ok() {
            self.is_open = false;
        }
        usage
    }

    /// Makes room for others, and tells the provider's breaker what came of asking.
    fn leave(&mut self, has_answered: bool) {
        self.place = None;
        let now = self.shared.ports.clock.now();
        if let Some(model) = &self.bill.asked.last {
            match self.phase {
                Phase::Asking => model.breaker.abandoned(now),
                Phase::Answering => model.breaker.record(has_answered, now),
                Phase::Waiting | Phase::Over => {}
            }
        }
        self.phase = Phase::Over;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Stopping an answer says nothing against who was writing it.
        self.leave(true);
        if !self.is_open {
            return;
        }
        let (shared, spending) = (Arc::clone(&self.shared), self.spending.clone());
        let bill = std::mem::take(&mut self.bill);
        self.shared.ports.spawner.spawn(Box::pin(async move {
            let usage = bill.usage().await;
            for wait in WAITS {
                if settle(&shared, &spending, usage).await.is_ok() {
                    return;
                }
                sleep(wait).await;
            }
        }));
    }
}

impl Bill {
    async fn usage(&self) -> Usage {
        match (self.usage, &self.asked.last) {
            (Some(usage), _) => usage,
            (None, Some(model)) if self.asked.is_taken => {
                let texts = self.prompt.iter().chain([&self.text]).cloned().collect();
                let counted = model.count(texts).await;
                let prompt_tokens = counted.prompt_tokens.saturating_add(self.tokens);
                Usage { prompt_tokens, ..counted }
            }
            // Nobody has anything to bill.
            (None, _) => Usage { estimated: true, ..Usage::default() },
        }
    }
}

async fn settle(shared: &Shared, spending: &Spending, usage: Usage) -> Result<(), PortError> {
    let tokens = u64::from(usage.prompt_tokens) + u64::from(usage.completion_tokens);
    let settled = shared.ports.budgets.settle(spending, tokens).await;
    settled.inspect_err(|error| {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "what a completion used is not counted yet"
        );
    })
}

/// Resolves when an answer has to end from outside.
async fn stopped(shutdown: &CancellationToken, deadline: Instant) -> AppError {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => AppError::ShuttingDown { retry_after: RETRY_AFTER_SHUTDOWN },
        () = sleep_until(deadline) => AppError::Reply(Failure::TotalTimeout),
    }
}

fn why(unanswered: Unanswered, model: &str) -> AppError {
    match unanswered.error {
        Some(ModelError::UnknownModel { .. }) => AppError::UnknownModel(model.to_owned()),
        Some(ModelError::Unsupported { parameter }) => AppError::invalid(FieldError::new(
            parameter,
            "unsupported_parameter",
            format!("the model {model:?} does not support it: leave it out, or ask another"),
        )),
        Some(ModelError::NoEmbeddings) => AppError::invalid(FieldError::new(
            "model",
            "unsupported_model",
            format!("{model:?} makes no embeddings: ask a model that does"),
        )),
        _ => AppError::Reply(unanswered.failure),
    }
}
