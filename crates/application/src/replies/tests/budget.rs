//! What a turn reserves of a month's tokens, and what its model is asked for then.

use std::sync::Arc;

use chrono::DateTime;
use repartee_domain::{
    ApiKeyId,
    accounts::{ApiKey, Scope},
    limits::Month,
};
use uuid::Uuid;

use super::*;
use crate::{
    Actor, AppError, Credential,
    ports::TurnBudget,
    replies::{Begun, fixture::START},
};

const KEY: ApiKeyId = ApiKeyId::from_uuid(Uuid::from_u128(9));

fn fixture() -> Fixture {
    Fixture::answering([Ok(vec![Text("Because."), STOP])])
}

async fn send(
    fixture: &Fixture,
    monthly_token_budget: Option<u64>,
    max_tokens: Option<u32>,
) -> Result<Begun, AppError> {
    let key = ApiKey {
        id: KEY,
        owner: ACTOR.user,
        name: "a key".into(),
        prefix: "rk".into(),
        scopes: [Scope::Chat].into_iter().collect(),
        models: None,
        requests_per_minute: None,
        monthly_token_budget,
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
        created_at: DateTime::UNIX_EPOCH,
    };
    let actor = Actor { credential: Credential::Key(Arc::new(key)), ..ACTOR };
    let message = NewMessage {
        content: "Why?".into(),
        options: ReplyOptions { max_tokens, ..ReplyOptions::default() },
        ..NewMessage::default()
    };
    fixture.service.send(&actor, CONVERSATION.into(), message, None).await
}

async fn asked_for(fixture: &Fixture, begun: Begun) -> Option<u32> {
    read(begun.events).await;
    fixture.model.asked.lock().unwrap()[0].max_tokens
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_limited_nothing_is_counted() {
    let fixture = fixture();

    send(&fixture, None, None).await.unwrap();

    let turn = fixture.turns.0.lock().unwrap().begun[0].clone();
    assert_eq!((turn.budget, turn.generation.api_key), (TurnBudget::default(), Some(KEY)));
}

#[tokio::test(start_paused = true)]
async fn prompt_and_longest_reply_are_reserved() {
    for (max_tokens, reply, least_reply) in [(None, 100, 16), (Some(7), 7, 7), (Some(500), 100, 16)]
    {
        let fixture = fixture();

        let begun = send(&fixture, Some(1_000), max_tokens).await.unwrap();

        let budget = fixture.turns.0.lock().unwrap().begun[0].budget;
        // However the model counts, a token is never shorter than a byte.
        let prompt = u64::try_from("You are helpful.".len() + "Why?".len() + 22).unwrap();
        let expected =
            TurnBudget { of_user: None, of_key: Some(1_000), prompt, reply, least_reply };
        assert_eq!(budget, expected);
        assert_eq!(asked_for(&fixture, begun).await.map(u64::from), Some(reply));
    }
}

#[tokio::test(start_paused = true)]
async fn where_less_is_left_the_reply_is_shorter() {
    let fixture = fixture();
    fixture.turns.0.lock().unwrap().begin_within = Some(42 + 30);

    let begun = send(&fixture, Some(1_000), None).await.unwrap();

    assert_eq!(asked_for(&fixture, begun).await, Some(30));
}

#[tokio::test(start_paused = true)]
async fn a_beginning_that_was_not_heard_of_keeps_within_what_it_reserved() {
    let fixture = fixture();
    {
        let mut stored = fixture.turns.0.lock().unwrap();
        stored.begin_within = Some(42 + 30);
        stored.begin_in_doubt = true;
    }

    let begun = send(&fixture, Some(1_000), None).await.unwrap();

    assert_eq!(asked_for(&fixture, begun).await, Some(30));
}

/// The tokens that the one reply is charged with: of the prompt, and of what was written.
fn charged(fixture: &Fixture) -> (u32, u32) {
    let usage = fixture.finished().ended.reply.writing.unwrap().usage.unwrap();
    (usage.prompt_tokens, usage.completion_tokens)
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_no_model_took_is_not_charged() {
    let broken = || Ok(vec![Break]);
    let not_there = || Err(ModelError::NotInstalled { reason: "fetch it".into() });
    for answers in [
        [refused(), refused()],
        [not_there(), not_there()],
        [refused(), Ok(vec![Hang])],
        [Ok(vec![Hang]), refused()],
    ] {
        let [answer, last] = answers;
        let fixture = Fixture::answering([answer]);
        fixture.fallback.answers.lock().unwrap().push_back(last);
        fixture.turn().await;
        assert_eq!(charged(&fixture), (0, 0));
    }
    let fixture = Fixture::answering([broken(), unavailable(), broken()]);
    fixture.fallback.answers.lock().unwrap().push_back(refused());
    fixture.turn().await;
    assert_eq!((charged(&fixture), fixture.finished().ended.attempts), ((0, 0), 4));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_a_model_took_is_charged() {
    // "Be kind.", "Talk of tea." and "Why?".
    for (answer, tokens) in [
        (vec![Text("One two "), Break], (6, 2)),
        (vec![STOP], (6, 0)),
        (vec![Queued(1), Text("One "), Break], (6, 1)),
        (vec![Step::Usage(10, 0), Break], (10, 0)),
    ] {
        let fixture = Fixture::answering([Ok(answer)]);
        fixture.turn().await;
        assert_eq!(charged(&fixture), tokens);
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_while_a_model_thinks_is_no_way_around_a_budget() {
    for (answer, tokens) in [
        // It may have read all of the prompt.
        (Ok(vec![Hang]), (6, 0)),
        // It waits for others, or to be asked again.
        (Ok(vec![Queued(2), Hang]), (0, 0)),
        (unavailable(), (0, 0)),
    ] {
        let fixture = Fixture::answering([answer]);
        let generation = fixture.send("Why?").await.unwrap().generation.id;
        sleep(Duration::from_millis(1)).await;
        fixture.service.stop(generation).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(fixture.finished().ended.outcome, Outcome::Cancelled);
        assert_eq!(charged(&fixture), tokens);
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_never_asked_anybody_is_not_charged() {
    let fixture = Fixture::answering([]);
    {
        let mut stored = fixture.turns.0.lock().unwrap();
        stored.begin_in_doubt = true;
        stored.refuse_orphan.push_back(away());
    }

    fixture.send("Why?").await.err().unwrap();
    sleep(Duration::from_millis(1)).await;

    assert_eq!(charged(&fixture), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_is_there_again_next_month() {
    let fixture = fixture();
    fixture.turns.0.lock().unwrap().refuse_begin = Some(TurnBegun::OverBudget);

    let error = send(&fixture, Some(1_000), None).await.err().unwrap();

    assert_eq!(error.classify(), (ErrorKind::TooManyRequests, "budget_exceeded"));
    assert_eq!(error.retry_after(), Some(Month::of(START).left(START)));
    assert!(fixture.model.asked.lock().unwrap().is_empty());
}
