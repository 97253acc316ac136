//! A completion under way, and what becomes of it when nobody reads it any more.

use std::{sync::Arc, time::Duration};

use repartee_domain::{limits::Month, replies::Usage};
use tokio::time::sleep;

use super::{Question, Shared};
use crate::{
    AppError,
    asking::{Answering, Asked, Unanswered, ask},
    models::Model,
    ports::{NewSpending, PortError, Reserved, Spending},
    replies::{Place, Room},
};

/// When one of a user's completions may have ended.
const RETRY_AFTER_A_COMPLETION: Duration = Duration::from_secs(5);
/// Before settling is tried again. What stays unsettled expires.
const WAITS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(5)];

/// However it ends, and be it that its caller goes away, what it used is counted, and its model is
/// stopped.
pub(super) struct Running {
    shared: Arc<Shared>,
    spending: Spending,
    room: Room,
    /// Among what is written at once.
    place: Option<Place>,
    pub(super) bill: Bill,
    phase: Phase,
    /// Whether something may be reserved that is not settled yet.
    is_open: bool,
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
    /// The answer so far.
    pub(super) text: String,
    /// The provider's own count.
    pub(super) usage: Option<Usage>,
}

impl Running {
    pub(super) fn new(shared: Arc<Shared>, spending: Spending, room: Room) -> Self {
        let (bill, phase) = (Bill::default(), Phase::Waiting);
        Self { shared, spending, room, place: None, bill, phase, is_open: false }
    }

    /// Gives how many tokens there are.
    pub(super) async fn reserve(&mut self, wish: NewSpending) -> Result<u64, AppError> {
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

    /// Waits for a place, and asks.
    pub(super) async fn ask(
        &mut self,
        models: &[Model],
        question: &mut Question,
    ) -> Result<Answering, Unanswered> {
        self.place = Some(self.room.place(self.spending.owner).await);
        self.phase = Phase::Asking;
        let answered = ask(self.shared.ask_ports(), models, question, &mut self.bill.asked).await;
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
                model.count(texts).await
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
