//! A completion from the question to the bill, on paused time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{FutureExt, StreamExt};
use repartee_domain::{
    limits::Month,
    messages::MessageRole,
    replies::{Failure, FinishReason, Turn, Usage},
};
use tokio::time::{advance, sleep, timeout};

mod embeddings;

use super::*;
use crate::{
    ports::{ModelError, NewSpending, PortError, Reserved, Spending},
    replies::fixture::{
        ACTOR, Answer, Fixture, START,
        Step::{self, Break, Fields, Finish, Hang, Text, Wait},
        unavailable,
    },
};

const STOP: Step = Finish(FinishReason::Stop);

/// What was reserved and settled.
#[derive(Default)]
pub(crate) struct FakeLedger {
    pub(crate) wishes: Mutex<Vec<NewSpending>>,
    /// What comes of the next reservations; any number of tokens besides.
    pub(crate) answers: Mutex<VecDeque<Reserved>>,
    pub(crate) settled: Mutex<Vec<u64>>,
    /// Settling fails so often.
    away: Mutex<u32>,
}

#[async_trait]
impl BudgetLedger for FakeLedger {
    async fn reserve(&self, wish: NewSpending) -> Result<Reserved, PortError> {
        self.wishes.lock().unwrap().push(wish);
        let answer = self.answers.lock().unwrap().pop_front();
        Ok(answer.unwrap_or(Reserved::Tokens(u64::MAX)))
    }

    async fn settle(&self, _: &Spending, tokens: u64) -> Result<(), PortError> {
        let mut away = self.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return Err(PortError::Unavailable("away".into()));
        }
        self.settled.lock().unwrap().push(tokens);
        Ok(())
    }

    async fn expire(&self, _: DateTime<Utc>, _: u32) -> Result<u64, PortError> {
        Ok(0)
    }

    async fn forget(&self, _: Month, _: u32) -> Result<u64, PortError> {
        Ok(0)
    }
}

struct Asking {
    replies: Fixture,
    ledger: Arc<FakeLedger>,
    service: CompletionService,
}

impl Asking {
    fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let (replies, ledger) = (Fixture::answering(answers), Arc::new(FakeLedger::default()));
        let rules = CompletionRules { most_per_user: 3, monthly_token_budget: Some(10_000) };
        let service = replies.completions(ledger.clone(), rules);
        Self { replies, ledger, service }
    }

    fn spare_answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.replies.fallback.answers.lock().unwrap().extend(answers);
    }

    async fn begin(&self) -> Result<Completion, AppError> {
        self.service.begin(&ACTOR, wish("main")).await
    }

    async fn code(&self) -> &'static str {
        self.begin().await.err().unwrap().classify().1
    }

    fn settled(&self) -> Vec<u64> {
        self.ledger.settled.lock().unwrap().clone()
    }
}

fn wish(model: &str) -> NewCompletion {
    NewCompletion {
        model: model.into(),
        turns: vec![Turn { role: MessageRole::User, content: "Why is that?".into() }],
        passed: Some(PassedThrough {
            messages: "[\"as they came\"]".into(),
            fields: vec![("tools", "[1]".into())],
            ..PassedThrough::default()
        }),
        ..NewCompletion::default()
    }
}

fn ended(reason: FinishReason, prompt: u32, completion: u32, estimated: bool) -> Piece {
    let usage = Usage { prompt_tokens: prompt, completion_tokens: completion, estimated };
    Piece::Ended { reason, usage }
}

async fn pieces(completion: Completion) -> Vec<Piece> {
    completion.pieces.map(Result::unwrap).collect().await
}

/// Lets what was spawned run.
async fn settle_in_the_background() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_in_pieces_and_what_it_used_is_counted_before_its_end_is_told() {
    let steps =
        vec![Text("Be"), Fields("{\"tool_calls\":[]}"), Text("cause"), STOP, Step::Usage(7, 2)];
    let asking = Asking::answering([Ok(steps)]);

    let mut completion = asking.begin().await.unwrap();

    assert_eq!((completion.model.as_str(), completion.created_at), ("main", START));
    let mut told = Vec::new();
    while let Some(piece) = completion.pieces.next().await {
        let piece = piece.unwrap();
        let is_over = matches!(piece, Piece::Ended { .. });
        assert_eq!(asking.settled().len(), usize::from(is_over));
        told.push(piece);
    }
    let fields = Piece::Fields("{\"tool_calls\":[]}".into());
    let end = ended(FinishReason::Stop, 7, 2, false);
    assert_eq!(told, [Piece::Text("Be".into()), fields, Piece::Text("cause".into()), end]);
    assert_eq!(asking.settled(), [9]);
    let asked = asking.replies.model.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.passed.as_deref(), wish("main").passed.as_ref());
}

#[tokio::test(start_paused = true)]
async fn tokens_are_reserved_before_and_the_answer_keeps_within_them() {
    let asking = Asking::answering([Ok(vec![Text("a"), STOP])]);
    asking.ledger.answers.lock().unwrap().push_back(Reserved::Tokens(70));

    pieces(asking.begin().await.unwrap()).await;

    let reserved = asking.ledger.wishes.lock().unwrap()[0].clone();
    // The bytes of messages and fields, and eight for the framing of a message.
    assert_eq!((reserved.budget.prompt, reserved.budget.reply), (16 + 3 + 8, 100));
    assert_eq!((reserved.budget.of_user, reserved.most_running), (Some(10_000), Some(3)));
    assert_eq!(reserved.expires_at - reserved.began_at, TimeDelta::minutes(11));
    let asked = asking.replies.model.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.max_tokens, Some(70 - 27));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_begin_is_refused_and_nobody_is_asked() {
    let asking = Asking::answering([]);
    asking.ledger.answers.lock().unwrap().extend([Reserved::OverBudget, Reserved::TooManyRunning]);
    assert_eq!(asking.code().await, "budget_exceeded");
    assert_eq!(asking.code().await, "too_many_generations");

    let unknown = asking.service.begin(&ACTOR, wish("huge")).await.err().unwrap();
    assert_eq!(unknown.classify().1, "model_unknown");
    let hot = NewCompletion { temperature: Some(3.0), ..wish("main") };
    let invalid = asking.service.begin(&ACTOR, hot).await.err().unwrap();
    assert_eq!(invalid.classify().1, "invalid_fields");
    asking.replies.service.interrupt().await;
    assert_eq!(asking.code().await, "shutting_down");

    settle_in_the_background().await;
    assert_eq!(asking.settled(), [0; 0]);
    assert!(asking.replies.model.asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_the_first_piece_is_tried_again_and_then_elsewhere() {
    let asking = Asking::answering([unavailable(), unavailable(), unavailable()]);
    asking.spare_answers([Ok(vec![Text("a"), STOP])]);
    let completion = asking.begin().await.unwrap();
    assert_eq!(completion.model, "spare");
    assert_eq!(pieces(completion).await[1], ended(FinishReason::Stop, 3, 1, true));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_answers_costs_nothing() {
    let asking = Asking::answering((0..3).map(|_| unavailable()));
    asking.spare_answers([Err(ModelError::Unsupported { parameter: "tools" })]);
    // That the fallback has no tools is not why.
    assert_eq!(asking.code().await, "model_failed");
    assert_eq!(asking.settled(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_model_says_what_it_does_not_support_or_that_there_is_none() {
    let spare = || wish("spare");
    let asking = Asking::answering([]);
    asking.spare_answers([
        Err(ModelError::Unsupported { parameter: "tools" }),
        Err(ModelError::UnknownModel { reason: "status 404".into() }),
    ]);

    let unsupported = asking.service.begin(&ACTOR, spare()).await.err().unwrap();
    let AppError::Invalid(fields) = unsupported else { panic!("{unsupported}") };
    assert_eq!((fields[0].field, fields[0].code), ("tools", "unsupported_parameter"));
    let unknown = asking.service.begin(&ACTOR, spare()).await.err().unwrap();
    assert_eq!(unknown.classify().1, "model_unknown");
}

#[tokio::test(start_paused = true)]
async fn who_stops_reading_is_charged_for_what_was_written() {
    let asking = Asking::answering([Ok(vec![Text("one two "), Text("three"), Hang])]);
    let mut completion = asking.begin().await.unwrap();
    completion.pieces.next().await.unwrap().unwrap();
    completion.pieces.next().await.unwrap().unwrap();

    drop(completion);
    settle_in_the_background().await;

    assert_eq!(asking.settled(), [3 + 3]);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_before_the_answer_is_charged_for_the_question_alone() {
    let asking = Asking::answering([Ok(vec![Hang])]);
    assert!(timeout(Duration::from_secs(1), asking.begin()).await.is_err());
    settle_in_the_background().await;
    assert_eq!(asking.settled(), [3]);
}

#[tokio::test(start_paused = true)]
async fn settling_is_tried_again_while_the_database_is_away() {
    let asking = Asking::answering([Ok(vec![Text("a"), STOP, Step::Usage(1, 1)])]);
    *asking.ledger.away.lock().unwrap() = 2;
    pieces(asking.begin().await.unwrap()).await;
    assert_eq!(asking.settled(), [0; 0]);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(asking.settled(), [2]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_an_error_and_is_counted() {
    for (end, code) in [(Break, "model_failed"), (Hang, "model_idle_timeout")] {
        let asking = Asking::answering([Ok(vec![Text("one two"), end])]);
        let told: Vec<_> = asking.begin().await.unwrap().pieces.collect().await;
        let [Ok(Piece::Text(_)), Err(error)] = &told[..] else { panic!("{}", told.len()) };
        assert_eq!(error.classify().1, code);
        assert_eq!(asking.settled(), [3 + 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_or_is_in_the_way_of_a_stop_ends() {
    let slow = || {
        let piece = [Text("a"), Wait(Duration::from_secs(20))];
        Ok(piece.into_iter().cycle().take(100).collect())
    };
    let asking = Asking::answering([slow(), slow()]);
    let told: Vec<_> = asking.begin().await.unwrap().pieces.collect().await;
    let error = told.last().unwrap().as_ref().unwrap_err();
    assert!(matches!(error, AppError::Reply(Failure::TotalTimeout)), "{error}");

    let mut pieces = asking.begin().await.unwrap().pieces;
    pieces.next().await.unwrap().unwrap();
    let interrupt = asking.replies.service.interrupt();
    let (told, ()) = futures::join!(pieces.collect::<Vec<_>>(), interrupt);
    let error = told.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.classify().1, "shutting_down");
}

#[tokio::test(start_paused = true)]
async fn completions_and_replies_share_their_places() {
    let asking = Asking::answering([
        Ok(vec![Text("a"), Wait(Duration::from_secs(20)), STOP]),
        Ok(vec![Text("a"), Wait(Duration::from_secs(25)), STOP]),
        Ok(vec![Text("b"), STOP]),
    ]);
    let (mut one, mut two) = (asking.begin().await.unwrap(), asking.begin().await.unwrap());
    one.pieces.next().await.unwrap().unwrap();
    two.pieces.next().await.unwrap().unwrap();

    let mut third = Box::pin(asking.begin());
    assert!((&mut third).now_or_never().is_none());
    advance(Duration::from_secs(1)).await;
    assert!((&mut third).now_or_never().is_none(), "two are written, and no more may be");
    drop(one);
    assert_eq!(pieces(third.await.unwrap()).await.len(), 2);
}
