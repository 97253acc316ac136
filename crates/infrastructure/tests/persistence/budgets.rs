//! The contract of `TurnRepository`: the tokens of a month.

use futures::future::join_all;
use repartee_application::ports::{
    BudgetLedger, ConversationRepository, NewSpending, NewTurn, PortError, Reserved, Spending,
    TurnBegun, TurnBudget, TurnRepository,
};
use repartee_domain::{ApiKeyId, limits::Month, replies::Usage};
use repartee_infrastructure::persistence::SeaBudgetLedger;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{
        at, conversation, conversation_id, finished, generation_id, key, moved, turn, user_id,
    },
};

on_both_databases!(
    of_many_turns_begun_at_once_as_many_begin_as_the_budget_has_room_for,
    what_is_left_is_enough_for_a_shorter_reply,
    a_key_has_a_budget_of_its_own_and_both_are_reserved_or_none,
    what_was_used_takes_the_place_of_what_was_reserved,
    an_interrupted_turn_is_settled_as_well,
    what_is_used_is_counted_without_a_limit,
    a_turn_is_counted_once,
    deleting_a_running_reply_frees_nothing,
    a_month_begins_anew,
    another_reason_is_told_before_the_budget,
    what_a_running_turn_reserved_is_known,
    months_that_are_over_are_forgotten_by_portions,
    completions_reserve_what_there_is_however_many_begin_at_once,
    a_completion_is_settled_once,
    a_completion_whose_process_went_away_counts_until_it_expires,
    completions_and_turns_count_as_running_together,
    a_completion_goes_with_its_owner,
);

const KEY: ApiKeyId = ApiKeyId::from_uuid(Uuid::from_u128(99));

fn of_user(limit: u64) -> TurnBudget {
    TurnBudget { of_user: Some(limit), of_key: None, prompt: 60, reply: 40, least_reply: 16 }
}

fn of_key(limit: u64) -> TurnBudget {
    TurnBudget { of_user: None, of_key: Some(limit), ..of_user(0) }
}

/// Turn `n` in conversation `n`, which is user 1's.
fn limited(n: u32, budget: TurnBudget) -> NewTurn {
    let mut turn = NewTurn { budget, ..turn(n, n) };
    turn.generation.owner = user_id(1);
    turn.generation.api_key = budget.of_key.map(|_| KEY);
    turn
}

async fn with_conversations(db: &TestDatabase, count: u32) {
    db.with_user(1).await;
    for n in 1..=count {
        db.conversations().insert(conversation(n, 1), None).await.unwrap();
    }
}

/// Used and reserved, of a user or a key in the month of the tests.
async fn tokens(db: &TestDatabase, subject: Uuid) -> Option<(i64, i64)> {
    tokens_in(db, subject, "2027-01").await
}

async fn tokens_in(db: &TestDatabase, subject: Uuid, period: &str) -> Option<(i64, i64)> {
    let reader = db.db.reader();
    let backend = reader.get_database_backend();
    let sql = match backend {
        DbBackend::Sqlite => {
            "SELECT used, reserved FROM token_budgets WHERE subject_id = ? AND period = ?"
        }
        _ => "SELECT used, reserved FROM token_budgets WHERE subject_id = $1 AND period = $2",
    };
    let statement = Statement::from_sql_and_values(backend, sql, [subject.into(), period.into()]);
    let row = reader.query_one_raw(statement).await.unwrap()?;
    Some((row.try_get("", "used").unwrap(), row.try_get("", "reserved").unwrap()))
}

async fn begin(db: &TestDatabase, turn: &NewTurn) -> TurnBegun {
    db.turns().begin_turn(turn.clone()).await.unwrap()
}

/// Has the turn end with so many tokens used.
async fn finish(db: &TestDatabase, turn: &NewTurn, prompt_tokens: u32, completion_tokens: u32) {
    let mut end = finished(turn, 2, None);
    let writing = end.ended.reply.writing.as_mut().unwrap();
    writing.usage = Some(Usage { prompt_tokens, completion_tokens, estimated: false });
    db.turns().finish_turn(end).await.unwrap();
}

async fn of_many_turns_begun_at_once_as_many_begin_as_the_budget_has_room_for(db: &TestDatabase) {
    with_conversations(db, 50).await;
    let turns = db.turns();

    let begun = join_all((1..=50).map(|n| turns.begin_turn(limited(n, of_user(1_080))))).await;

    let begun: Vec<_> = begun.into_iter().map(Result::unwrap).collect();
    let count = |what| begun.iter().filter(|begun| **begun == what).count();
    assert_eq!(count(TurnBegun::Begun), 10);
    assert_eq!(count(TurnBegun::BegunWithin { tokens: 80 }), 1);
    assert_eq!(count(TurnBegun::OverBudget), 39);
    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((0, 1_080)));
    assert_eq!(db.count("generations").await, 11);
}

async fn what_is_left_is_enough_for_a_shorter_reply(db: &TestDatabase) {
    with_conversations(db, 3).await;
    assert_eq!(begin(db, &limited(1, of_user(176))).await, TurnBegun::Begun);

    assert_eq!(begin(db, &limited(2, of_user(175))).await, TurnBegun::OverBudget);
    let within = TurnBegun::BegunWithin { tokens: 76 };
    assert_eq!(begin(db, &limited(2, of_user(176))).await, within);
    assert_eq!(begin(db, &limited(3, of_user(176))).await, TurnBegun::OverBudget);
}

async fn a_key_has_a_budget_of_its_own_and_both_are_reserved_or_none(db: &TestDatabase) {
    with_conversations(db, 3).await;
    let both = TurnBudget { of_user: Some(1_000), ..of_key(100) };

    assert_eq!(begin(db, &limited(1, both)).await, TurnBegun::Begun);
    assert_eq!(begin(db, &limited(2, both)).await, TurnBegun::OverBudget);

    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((0, 100)));
    assert_eq!(tokens(db, KEY.as_uuid()).await, Some((0, 100)));
    // Without the key there is room.
    assert_eq!(begin(db, &limited(3, of_user(1_000))).await, TurnBegun::Begun);
    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((0, 200)));
}

async fn what_was_used_takes_the_place_of_what_was_reserved(db: &TestDatabase) {
    with_conversations(db, 3).await;
    let (first, second) = (limited(1, of_key(500)), limited(2, of_key(500)));
    begin(db, &first).await;
    begin(db, &second).await;

    finish(db, &first, 50, 7).await;

    assert_eq!(tokens(db, KEY.as_uuid()).await, Some((57, 100)));
    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((57, 100)));
    // A provider that says more than it was asked for is believed.
    finish(db, &second, 60, 400).await;
    assert_eq!(tokens(db, KEY.as_uuid()).await, Some((517, 0)));
    assert_eq!(begin(db, &limited(3, of_key(500))).await, TurnBegun::OverBudget);
}

async fn an_interrupted_turn_is_settled_as_well(db: &TestDatabase) {
    with_conversations(db, 1).await;
    let turn = limited(1, of_user(500));
    begin(db, &turn).await;
    let end = finished(&turn, 2, None);

    assert!(db.turns().settle_turn(end, 0).await.unwrap());

    let used = 10 + i64::from(u32::MAX);
    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((used, 0)));
}

async fn what_is_used_is_counted_without_a_limit(db: &TestDatabase) {
    with_conversations(db, 2).await;
    let turn = limited(1, TurnBudget::default());
    begin(db, &turn).await;
    assert_eq!(tokens(db, user_id(1).as_uuid()).await, None, "nothing is reserved");

    finish(db, &turn, 20, 3).await;

    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((23, 0)));
    let mut by_key = limited(2, TurnBudget::default());
    by_key.generation.api_key = Some(KEY);
    begin(db, &by_key).await;
    finish(db, &by_key, 5, 5).await;
    assert_eq!(tokens(db, KEY.as_uuid()).await, Some((10, 0)));
    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((33, 0)));
}

async fn a_turn_is_counted_once(db: &TestDatabase) {
    with_conversations(db, 1).await;
    let turn = limited(1, of_user(500));
    begin(db, &turn).await;
    finish(db, &turn, 20, 3).await;

    for _ in 0..2 {
        let again = db.turns().finish_turn(finished(&turn, 2, None)).await;
        assert!(matches!(again, Err(PortError::Stale)));
    }

    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((23, 0)));
}

async fn deleting_a_running_reply_frees_nothing(db: &TestDatabase) {
    with_conversations(db, 2).await;
    db.with_user(2).await;
    let turn = limited(1, of_key(500));
    begin(db, &turn).await;
    begin(db, &limited(2, of_key(500))).await;

    for (user, is_deleted) in [(2, false), (1, true)] {
        let delete = db.conversations().delete(user_id(user), conversation_id(1), at(5)).await;
        assert_eq!(delete.unwrap(), is_deleted);
    }

    for subject in [user_id(1).as_uuid(), KEY.as_uuid()] {
        assert_eq!(tokens(db, subject).await, Some((100, 100)));
    }
    let late = db.turns().finish_turn(finished(&turn, 2, None)).await;
    assert!(matches!(late, Err(PortError::Stale)));
    assert_eq!(tokens(db, KEY.as_uuid()).await, Some((100, 100)));
}

async fn a_month_begins_anew(db: &TestDatabase) {
    with_conversations(db, 2).await;
    let first = limited(1, of_user(100));
    begin(db, &first).await;
    let mut next = limited(2, of_user(100));
    assert_eq!(begin(db, &next).await, TurnBegun::OverBudget);

    next.generation.created_at = "2027-02-01T00:00:00Z".parse().unwrap();

    assert_eq!(begin(db, &next).await, TurnBegun::Begun);
    assert_eq!(tokens_in(db, user_id(1).as_uuid(), "2027-02").await, Some((0, 100)));
    // It ends in February, and was January's.
    finish(db, &first, 1, 2).await;
    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((3, 0)));
}

async fn what_a_running_turn_reserved_is_known(db: &TestDatabase) {
    with_conversations(db, 3).await;
    let reserved = async |n| {
        let orphan = db.turns().orphan(generation_id(n)).await.unwrap();
        orphan.unwrap().reserved
    };
    begin(db, &limited(1, of_user(176))).await;
    begin(db, &limited(2, of_user(176))).await;
    begin(db, &limited(3, TurnBudget::default())).await;

    assert_eq!((reserved(1).await, reserved(2).await), (Some(100), Some(76)));
    assert_eq!(reserved(3).await, None);
}

async fn months_that_are_over_are_forgotten_by_portions(db: &TestDatabase) {
    with_conversations(db, 5).await;
    for (n, day) in
        (1..).zip(["2025-12-31", "2026-01-01", "2026-11-30", "2026-12-01", "2027-01-01"])
    {
        let mut turn = limited(n, of_user(100));
        turn.generation.created_at = format!("{day}T12:00:00Z").parse().unwrap();
        assert_eq!(begin(db, &turn).await, TurnBegun::Begun);
    }
    let ledger = SeaBudgetLedger::new(db.db.clone());
    let december = Month::of("2026-12-31T00:00:00Z".parse().unwrap());

    for forgotten in [2, 1, 0] {
        assert_eq!(ledger.forget(december, 2).await.unwrap(), forgotten);
    }

    assert_eq!(db.count("token_budgets").await, 2);
    for period in ["2026-12", "2027-01"] {
        let left = tokens_in(db, user_id(1).as_uuid(), period).await;
        assert_eq!(left, Some((0, 100)), "{period}");
    }
}

async fn another_reason_is_told_before_the_budget(db: &TestDatabase) {
    with_conversations(db, 2).await;
    let keyed = |n| NewTurn { key: Some(key("k", at(1_000))), ..limited(n, of_user(100)) };
    begin(db, &keyed(1)).await;

    assert!(matches!(begin(db, &keyed(2)).await, TurnBegun::KeyUsed(_)));
    let again = moved(limited(2, of_user(100)), 1);
    assert!(matches!(begin(db, &again).await, TurnBegun::ReplyInProgress(_)));
    let capped = NewTurn { most_running: 1, ..limited(2, of_user(100)) };
    assert_eq!(begin(db, &capped).await, TurnBegun::TooManyRunning);
}

/// Completion `n` of user 1, which may run for a minute.
fn spending(n: u32, budget: TurnBudget) -> NewSpending {
    let spending = Spending {
        id: Uuid::from_u128(n.into()),
        owner: user_id(1),
        api_key: budget.of_key.map(|_| KEY),
    };
    NewSpending { spending, began_at: at(0), expires_at: at(60), most_running: Some(100), budget }
}

async fn completions_reserve_what_there_is_however_many_begin_at_once(db: &TestDatabase) {
    db.with_user(1).await;
    let ledger = SeaBudgetLedger::new(db.db.clone());
    let both = TurnBudget { of_user: Some(1_080), ..of_key(2_000) };

    let begun = join_all((1..=50).map(|n| ledger.reserve(spending(n, both)))).await;

    let begun: Vec<_> = begun.into_iter().map(Result::unwrap).collect();
    let count = |what| begun.iter().filter(|begun| **begun == what).count();
    assert_eq!(count(Reserved::Tokens(100)), 10);
    assert_eq!(count(Reserved::Tokens(80)), 1);
    assert_eq!(count(Reserved::OverBudget), 39);
    for subject in [user_id(1).as_uuid(), KEY.as_uuid()] {
        assert_eq!(tokens(db, subject).await, Some((0, 1_080)));
    }
    assert_eq!(db.count("running_completions").await, 11);
}

async fn a_completion_is_settled_once(db: &TestDatabase) {
    db.with_user(1).await;
    let ledger = SeaBudgetLedger::new(db.db.clone());
    let limited = spending(1, of_key(500));
    ledger.reserve(limited.clone()).await.unwrap();
    for tokens in [57, 1_000] {
        ledger.settle(&limited.spending, tokens).await.unwrap();
    }

    for subject in [user_id(1).as_uuid(), KEY.as_uuid()] {
        assert_eq!(tokens(db, subject).await, Some((57, 0)));
    }
    let unlimited = spending(2, TurnBudget::default());
    assert_eq!(ledger.reserve(unlimited.clone()).await.unwrap(), Reserved::Tokens(u64::MAX));
    ledger.settle(&unlimited.spending, 3).await.unwrap();
    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((60, 0)));
    // Nothing was reserved for it.
    ledger.settle(&spending(3, of_key(500)).spending, 9).await.unwrap();
    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((60, 0)));
    assert_eq!(db.count("running_completions").await, 0);
}

async fn a_completion_whose_process_went_away_counts_until_it_expires(db: &TestDatabase) {
    db.with_user(1).await;
    let ledger = SeaBudgetLedger::new(db.db.clone());
    let capped = |n, began: i64| NewSpending {
        most_running: Some(1),
        began_at: at(began),
        expires_at: at(began + 60),
        ..spending(n, of_user(500))
    };
    ledger.reserve(capped(1, 0)).await.unwrap();
    assert_eq!(ledger.reserve(capped(2, 59)).await.unwrap(), Reserved::TooManyRunning);

    // Whether it was tidied up already or not.
    assert_eq!(ledger.reserve(capped(2, 60)).await.unwrap(), Reserved::Tokens(100));

    assert_eq!(ledger.expire(at(59), 10).await.unwrap(), 0);
    assert_eq!(ledger.expire(at(60), 10).await.unwrap(), 1);
    assert_eq!(tokens(db, user_id(1).as_uuid()).await, Some((100, 100)));
    assert_eq!(db.count("running_completions").await, 1);
}

async fn completions_and_turns_count_as_running_together(db: &TestDatabase) {
    with_conversations(db, 2).await;
    let ledger = SeaBudgetLedger::new(db.db.clone());
    let completion =
        |n| NewSpending { most_running: Some(2), ..spending(n, TurnBudget::default()) };
    let running = |n| NewTurn { most_running: 2, ..limited(n, TurnBudget::default()) };
    assert_eq!(begin(db, &running(1)).await, TurnBegun::Begun);
    let began_at = running(1).generation.created_at;
    let first = NewSpending { began_at, expires_at: at(3_600), ..completion(1) };
    assert_eq!(ledger.reserve(first.clone()).await.unwrap(), Reserved::Tokens(u64::MAX));

    assert_eq!(begin(db, &running(2)).await, TurnBegun::TooManyRunning);
    let second = NewSpending { began_at, ..completion(2) };
    assert_eq!(ledger.reserve(second.clone()).await.unwrap(), Reserved::TooManyRunning);

    // What is written beside them neither waits for room nor takes it.
    let aside =
        NewSpending { began_at, most_running: None, expires_at: at(3_600), ..completion(3) };
    assert_eq!(ledger.reserve(aside).await.unwrap(), Reserved::Tokens(u64::MAX));

    ledger.settle(&first.spending, 1).await.unwrap();
    assert_eq!(begin(db, &running(2)).await, TurnBegun::Begun);
}

async fn a_completion_goes_with_its_owner(db: &TestDatabase) {
    db.with_user(1).await;
    let ledger = SeaBudgetLedger::new(db.db.clone());
    let completion = spending(1, of_user(500));
    ledger.reserve(completion.clone()).await.unwrap();

    db.execute("DELETE FROM users").await;

    assert_eq!(db.count("running_completions").await, 0);
    ledger.settle(&completion.spending, 5).await.unwrap();
    let late = ledger.reserve(spending(2, of_user(500))).await;
    assert!(matches!(late, Err(PortError::Corrupt(_))), "{late:?}");
}
