//! A reply from the question to the end, on paused time.

mod branches;
mod budget;
mod guests;
mod keys;
mod many;

use std::{collections::VecDeque, time::Duration};

use repartee_domain::{
    PersonaId,
    conversations::Shape,
    messages::{MessageRole, MessageStatus},
    replies::{FinishReason, Outcome, Usage},
};
use tokio::time::{Instant, advance, sleep};

use futures::StreamExt;

use super::{
    NewMessage, ReplyOptions,
    fixture::{
        ACTOR, Answer, CONVERSATION, Fixture,
        Step::{self, Break, Finish, Hang, Panic, Queued, Text, Wait},
        read, said, unavailable,
    },
};
use crate::{
    ErrorKind,
    ports::{
        EventKind::{Cancelled, Delta, Done, Failed, Interrupted, Queued as InQueue, Start},
        ModelError, PortError, TurnBegun,
    },
};

const STOP: Step = Finish(FinishReason::Stop);

fn kinds_and_text(
    events: &[(crate::ports::EventKind, String)],
) -> Vec<(crate::ports::EventKind, &str)> {
    events.iter().map(|(kind, text)| (*kind, text.as_str())).collect()
}

fn ms(count: u64) -> Step {
    Wait(Duration::from_millis(count))
}

fn refused() -> Answer {
    Err(ModelError::Rejected { reason: "no such key".into() })
}

fn away() -> PortError {
    PortError::Unavailable("the database is away".into())
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_streamed_stored_and_then_ended() {
    let fixture = Fixture::answering([Ok(vec![
        Text("Be"),
        ms(20),
        Text("cause."),
        STOP,
        Step::Usage(10, 2),
    ])]);

    let events = fixture.turn().await;

    assert_eq!(
        kinds_and_text(&events),
        [(Start, ""), (Delta, "Be"), (Delta, "cause."), (Done, "Because.")]
    );
    let ended = fixture.finished().ended;
    assert_eq!((ended.reply.content.as_str(), ended.attempts), ("Because.", 1));
    let writing = ended.reply.writing.unwrap();
    let usage = Usage { prompt_tokens: 10, completion_tokens: 2, estimated: false };
    assert_eq!((writing.usage, writing.latency_ms), (Some(usage), Some(20)));
}

#[tokio::test(start_paused = true)]
async fn a_model_sees_one_system_message_the_history_and_the_question() {
    let fixture = Fixture::answering([Ok(vec![Text("Yes."), STOP])]);
    fixture.turns.0.lock().unwrap().history = vec![
        said(1, MessageRole::User, "Is tea good?"),
        said(2, MessageRole::Assistant, "It is."),
        said(3, MessageRole::System, "Imported, and not shown."),
    ];

    fixture.turn().await;

    let asked = fixture.model.asked.lock().unwrap();
    let turns: Vec<_> =
        asked[0].turns.iter().map(|turn| (turn.role, turn.content.as_str())).collect();
    assert_eq!(
        turns,
        [
            (MessageRole::System, "Be kind.\n\nTalk of tea."),
            (MessageRole::User, "Is tea good?"),
            (MessageRole::Assistant, "It is."),
            (MessageRole::User, "Why?"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_shapes_a_conversation_comes_between_the_operators_words_and_its_own() {
    let shape = Shape { persona: Some(PersonaId::new(4)), project: None };
    let fixture = Fixture::shaped(shape, [Ok(vec![Text("Yes."), STOP])]);

    fixture.turn().await;

    let asked = fixture.model.asked.lock().unwrap();
    let expected = ["Be kind.", "Be a pirate.", "Keep to the plan.", "Talk of tea."].join("\n\n");
    assert_eq!(asked[0].turns[0].content, expected);
}

#[tokio::test(start_paused = true)]
async fn a_long_history_is_trimmed_by_tokens_and_begins_with_a_question() {
    let fixture = Fixture::answering([Ok(vec![Text("Yes."), STOP])]);
    let words = "word ".repeat(20); // 20 tokens and 8 of framing: seven of them fit beside the rest
    let role = |n| if n % 2 == 1 { MessageRole::User } else { MessageRole::Assistant };
    fixture.turns.0.lock().unwrap().history = (1..=200).map(|n| said(n, role(n), &words)).collect();

    fixture.turn().await;

    let asked = fixture.model.asked.lock().unwrap();
    let roles: Vec<_> = asked[0].turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles[0], MessageRole::System);
    assert_eq!(roles[1], MessageRole::User);
    assert_eq!(roles.len(), 2 + 6, "200 tokens: the newest six and the question");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_away_is_asked_again_and_nothing_is_shown_twice() {
    let fixture =
        Fixture::answering([unavailable(), Ok(vec![Break]), Ok(vec![Text("Third."), STOP])]);

    let events = fixture.turn().await;

    assert_eq!(kinds_and_text(&events), [(Start, ""), (Delta, "Third."), (Done, "Third.")]);
    assert_eq!(fixture.finished().ended.attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn the_fallback_is_asked_when_the_model_has_failed() {
    for first in [refused(), Err(ModelError::NotInstalled { reason: "no file".into() })] {
        let fixture = Fixture::answering([first]);
        fixture.fallback.answers.lock().unwrap().push_back(Ok(vec![Text("Spare."), STOP]));

        fixture.turn().await;

        let ended = fixture.finished().ended;
        assert_eq!(ended.reply.writing.unwrap().model, "spare");
        assert_eq!(ended.attempts, 2, "a refusal is not tried again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_asks_to_wait_is_obeyed() {
    let limited = ModelError::RateLimited { retry_after: Some(Duration::from_secs(7)) };
    let fixture = Fixture::answering([Err(limited), Ok(vec![Text("Now."), STOP])]);
    let begun = Instant::now();

    fixture.turn().await;

    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn each_time_limit_fails_with_its_own_code() {
    let drip = || (0..2_000).flat_map(|_| [Text("drip "), Wait(Duration::from_secs(1))]).collect();
    let cases: [(Vec<Step>, &str, u64); 3] = [
        (vec![Hang], "model_timeout", 60), // the fallback gets its 30 s as well
        (vec![Text("Half"), Hang], "model_idle_timeout", 30),
        (drip(), "model_total_timeout", 600),
    ];
    for (steps, code, seconds) in cases {
        let fixture = Fixture::answering([Ok(steps)]);
        let begun = Instant::now();

        fixture.turn().await;

        assert_eq!(begun.elapsed().as_secs(), seconds, "{code}");
        let Outcome::Failed(failure) = fixture.finished().ended.outcome else { panic!("{code}") };
        assert_eq!(failure.code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_kept_when_the_model_breaks_off() {
    for end in [vec![Break], vec![]] {
        let steps = [vec![Text("Half a "), ms(10), Text("sentence")], end].concat();
        let fixture = Fixture::answering([Ok(steps)]);

        let events = fixture.turn().await;

        assert_eq!(events.last().unwrap(), &(Failed, "Half a sentence".into()));
        assert_eq!(fixture.model.asked.lock().unwrap().len(), 1, "not after the first token");
        let reply = fixture.finished().ended.reply;
        assert_eq!(reply.status, MessageStatus::Failed);
        let usage = reply.writing.unwrap().usage.unwrap();
        assert!(usage.estimated);
        assert_eq!(usage.completion_tokens, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_model_is_shown_and_does_not_count_as_silence() {
    let wait = Wait(Duration::from_secs(45));
    let fixture = Fixture::answering([Ok(vec![
        Queued(2),
        wait.clone(),
        Queued(1),
        wait,
        Text("Mine."),
        STOP,
    ])]);

    let events = fixture.turn().await;

    assert_eq!(
        kinds_and_text(&events),
        [(Start, ""), (InQueue, "2"), (InQueue, "1"), (Delta, "Mine."), (Done, "Mine.")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_fast_model_makes_few_events_and_loses_no_text() {
    let steps = (0..1_000).flat_map(|_| [Text("ab"), Wait(Duration::from_micros(500))]);
    let fixture = Fixture::answering([Ok(steps.chain([STOP]).collect())]);

    let events = fixture.turn().await;

    let text: String =
        events.iter().filter(|(kind, _)| *kind == Delta).map(|(_, text)| text.as_str()).collect();
    assert_eq!(text, "ab".repeat(1_000));
    assert!(events.len() < 250, "{} events", events.len());
}

#[tokio::test(start_paused = true)]
async fn a_very_long_piece_becomes_events_of_bounded_size() {
    let long: &'static str = Box::leak("é".repeat(50_000).into_boxed_str());
    let fixture = Fixture::answering([Ok(vec![Text(long), STOP])]);

    let events = fixture.turn().await;

    assert!(events[1..events.len() - 1].iter().all(|(_, text)| text.len() <= 8 * 1024));
    assert_eq!(fixture.finished().ended.reply.content.len(), 100_000);
}

#[tokio::test(start_paused = true)]
async fn every_event_is_stored_within_a_quarter_of_a_second() {
    let steps = (0..40).flat_map(|_| [Text("word "), ms(70)]);
    let fixture = Fixture::answering([Ok(steps.chain([Hang]).collect())]);
    let begun = fixture.send("Why?").await.unwrap();
    let mut events = begun.events;
    let mut seen = Vec::new();
    for _ in 0..41 {
        seen.push((events.next().await.unwrap().seq, Instant::now()));
    }
    advance(Duration::from_millis(250)).await;
    sleep(Duration::from_millis(1)).await;

    let stored = fixture.turns.0.lock().unwrap();
    for (seq, at) in seen {
        let saved = stored.checkpoints.iter().find(|(_, c)| c.events.iter().any(|e| e.seq == seq));
        let (saved_at, _) = saved.unwrap_or_else(|| panic!("event {seq} was not stored"));
        assert!(*saved_at - at <= Duration::from_millis(250), "event {seq}");
    }
    let numbers = stored.checkpoints.iter().flat_map(|(_, c)| c.events.iter().map(|e| e.seq));
    assert!(numbers.eq(1..=41), "in order, each once");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_failed_is_made_up_for() {
    let steps = (0..20).flat_map(|_| [Text("word "), ms(70)]);
    let fixture = Fixture::answering([Ok(steps.chain([STOP]).collect())]);
    fixture.turns.0.lock().unwrap().refuse_checkpoint = VecDeque::from([away(), away()]);

    fixture.turn().await;

    let last = fixture.finished().unsaved;
    let stored = fixture.turns.0.lock().unwrap();
    let saved = stored.checkpoints.iter().map(|(_, checkpoint)| checkpoint);
    let all: Vec<_> = saved.chain(last.as_ref()).collect();
    let numbers = all.iter().flat_map(|c| c.events.iter().map(|e| e.seq));
    assert!(numbers.eq(1..=21), "in order, each once");
    let text: String = all.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(text, "word ".repeat(20));
}

#[tokio::test(start_paused = true)]
async fn a_reply_goes_on_when_nobody_reads_it() {
    let fixture = Fixture::answering([Ok(vec![
        Text("To "),
        Wait(Duration::from_secs(5)),
        Text("the end."),
        STOP,
    ])]);

    drop(fixture.send("Why?").await.unwrap());
    sleep(Duration::from_secs(6)).await;

    assert_eq!(fixture.finished().ended.reply.content, "To the end.");
}

#[tokio::test(start_paused = true)]
async fn cancelling_works_before_the_first_token_in_the_middle_and_twice() {
    for (steps, text) in [(vec![Hang], ""), (vec![Text("Half"), Hang], "Half")] {
        let fixture = Fixture::answering([Ok(steps)]);
        let begun = fixture.send("Why?").await.unwrap();
        sleep(Duration::from_millis(50)).await;

        for _ in 0..2 {
            let status = fixture.service.cancel(&ACTOR, begun.generation.id).await.unwrap();
            assert_eq!(status.state.as_str(), "cancelled");
        }

        let events = read(begun.events).await;
        assert_eq!(events.last().unwrap(), &(Cancelled, text.into()));
        assert_eq!(fixture.finished().ended.reply.content, text);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_only_once_it_is_stored() {
    let fixture = Fixture::answering([Ok(vec![Text("Safe."), STOP])]);
    fixture.turns.0.lock().unwrap().refuse_finish = VecDeque::from([away(), away(), away()]);
    let begun = Instant::now();

    let events = fixture.turn().await;

    assert_eq!(events.last().unwrap().0, Done);
    assert_eq!(begun.elapsed(), Duration::from_millis(100 + 200 + 400));
    assert_eq!(fixture.finished().ended.reply.content, "Safe.");
}

#[tokio::test(start_paused = true)]
async fn when_somebody_else_ended_the_reply_their_end_is_told() {
    let fixture = Fixture::answering([Ok(vec![Text("Mine."), STOP])]);
    {
        let mut stored = fixture.turns.0.lock().unwrap();
        stored.refuse_finish = VecDeque::from([PortError::Stale]);
        stored.other_events = vec![(2, Interrupted)];
    }

    let events = fixture.turn().await;

    assert_eq!(events.last().unwrap().0, Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_bug_in_an_adapter_ends_the_reply_too() {
    let fixture = Fixture::answering([Ok(vec![Text("Oops"), ms(10), Panic])]);

    let events = fixture.turn().await;

    assert_eq!(events.last().unwrap().0, Interrupted);
    assert_eq!(fixture.finished().ended.reply.status, MessageStatus::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn draining_refuses_new_replies_and_interrupts_what_takes_too_long() {
    let fixture = Fixture::answering([Ok(vec![Text("Half"), Hang])]);
    let begun = fixture.send("Why?").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let since = Instant::now();

    let (refused, ()) = tokio::join!(
        async {
            sleep(Duration::from_secs(1)).await;
            fixture.send("And now?").await.err().unwrap()
        },
        fixture.service.drain(Duration::from_secs(20))
    );

    assert_eq!(refused.classify(), (ErrorKind::Unavailable, "shutting_down"));
    assert_eq!(since.elapsed(), Duration::from_secs(20));
    assert_eq!(read(begun.events).await.last().unwrap(), &(Interrupted, "Half".into()));
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_a_reply_that_finishes() {
    let fixture = Fixture::answering([Ok(vec![Text("All"), Wait(Duration::from_secs(2)), STOP])]);
    let begun = fixture.send("Why?").await.unwrap();

    fixture.service.drain(Duration::from_secs(30)).await;

    assert_eq!(read(begun.events).await.last().unwrap(), &(Done, "All".into()));
}

#[tokio::test(start_paused = true)]
async fn orphans_are_settled_with_what_was_stored_of_them() {
    let fixture = Fixture::answering([]);
    let _begun = fixture.send("Why?").await.unwrap();
    let orphan = fixture.left(7, "two words", 3);
    fixture.turns.0.lock().unwrap().orphans.push(orphan.clone());

    assert_eq!(fixture.service.settle().await.unwrap(), 1);

    let turn = fixture.finished();
    assert_eq!(turn.ended.generation.id, orphan.generation.id);
    assert_eq!((turn.ended.outcome, turn.terminal.seq), (Outcome::Interrupted, 4));
    assert_eq!(turn.ended.reply.content, "two words");
    let usage = turn.ended.reply.writing.unwrap().usage.unwrap();
    assert_eq!((usage.completion_tokens, usage.estimated), (2, true));
}

#[tokio::test(start_paused = true)]
async fn a_second_question_is_told_which_reply_is_in_progress() {
    let fixture = Fixture::answering([]);
    let running = repartee_domain::GenerationId::from_uuid(uuid::Uuid::from_u128(77));
    fixture.turns.0.lock().unwrap().refuse_begin = Some(TurnBegun::ReplyInProgress(running));

    let error = fixture.send("Why?").await.err().unwrap();

    assert_eq!(error.classify(), (ErrorKind::Conflict, "reply_in_progress"));
    assert!(fixture.model.asked.lock().unwrap().is_empty(), "nobody is asked for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_bad_question_is_refused_before_anything_is_stored() {
    let fixture = Fixture::answering([]);
    let bad = NewMessage {
        content: "Why?".into(),
        options: ReplyOptions {
            temperature: Some(2.5),
            max_tokens: Some(0),
            ..ReplyOptions::default()
        },
        ..NewMessage::default()
    };

    let error = fixture.service.send(&ACTOR, CONVERSATION.into(), bad, None).await.err().unwrap();

    assert_eq!(error.classify().0, ErrorKind::Invalid);
    assert_eq!(fixture.send(" \n").await.err().unwrap().classify().0, ErrorKind::Invalid);
    assert!(fixture.turns.0.lock().unwrap().begun.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_gets_the_rest_and_nothing_once_all_is_read() {
    let fixture = Fixture::answering([Ok(vec![Text("One"), ms(10), Text("two"), STOP])]);
    let begun = fixture.send("Why?").await.unwrap();
    let generation = begun.generation.id;
    let whole = read(begun.events).await;
    assert_eq!(whole.len(), 4);

    for after in 0..4 {
        let rest =
            fixture.service.subscribe(&ACTOR, generation, after, false).await.unwrap().unwrap();
        assert_eq!(read(rest).await, whole[usize::try_from(after).unwrap()..]);
    }
    for after in [4, 5, u64::MAX] {
        let none = fixture.service.subscribe(&ACTOR, generation, after, true).await.unwrap();
        assert!(none.is_none());
        assert!(
            fixture.service.subscribe(&ACTOR, generation, after, false).await.unwrap().is_none()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_ahead_of_what_a_crash_left_gets_one_end_with_its_next_number() {
    let fixture = Fixture::answering([]);
    let _begun = fixture.send("Why?").await.unwrap();
    let orphan = fixture.left(7, "two words", 3);
    let generation = orphan.generation.id;
    {
        let mut stored = fixture.turns.0.lock().unwrap();
        stored.orphans.push(orphan);
        stored.other_events = vec![(4, Interrupted)];
    }
    fixture.service.settle().await.unwrap();

    for (after, told) in [(4, 5), (57, 58)] {
        let rest = fixture.service.subscribe(&ACTOR, generation, after, false).await.unwrap();
        let events: Vec<_> = rest.unwrap().map(|event| (event.seq, event.kind)).collect().await;
        assert_eq!(events, [(told, Interrupted)]);
        let over = fixture.service.subscribe(&ACTOR, generation, told, true).await.unwrap();
        assert!(over.is_none(), "and only one");
    }
}

#[tokio::test(start_paused = true)]
async fn nul_in_a_models_text_is_replaced() {
    let fixture = Fixture::answering([Ok(vec![Text("a\0b"), STOP])]);
    fixture.turn().await;
    assert_eq!(fixture.finished().ended.reply.content, "a\u{fffd}b");
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_never_asked_for_longer_than_its_model_may_be() {
    for (asked, sent) in [(None, 100), (Some(7), 7), (Some(u32::MAX), 100)] {
        let fixture = Fixture::answering([Ok(vec![Text("Yes."), STOP])]);
        let options = ReplyOptions { max_tokens: asked, ..ReplyOptions::default() };
        let message = NewMessage { content: "Why?".into(), options, ..NewMessage::default() };
        let begun = fixture.service.send(&ACTOR, CONVERSATION.into(), message, None).await.unwrap();
        read(begun.events).await;
        assert_eq!(fixture.model.asked.lock().unwrap()[0].max_tokens, Some(sent));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_ends_while_the_next_prompt_is_assembled_is_shown_all_the_same() {
    let fixture = Fixture::answering([Ok(vec![Text("Yes."), STOP])]);
    {
        let mut stored = fixture.turns.0.lock().unwrap();
        stored.history.push(said(1, MessageRole::User, "Tea?"));
        stored.said_meanwhile.push_back(said(2, MessageRole::Assistant, "With milk."));
        stored.said_meanwhile.push_back(said(3, MessageRole::User, "A note."));
    }

    fixture.turn().await;

    let asked = fixture.model.asked.lock().unwrap()[0].turns.clone();
    let contents: Vec<_> = asked.iter().skip(1).map(|turn| turn.content.as_str()).collect();
    assert_eq!(contents, ["Tea?", "With milk.", "A note.", "Why?"]);
    assert_eq!(fixture.turns.0.lock().unwrap().begun.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_always_too_late_is_told_so() {
    let fixture = Fixture::answering([]);
    let others = (1..=5).map(|n| said(n, MessageRole::User, "And another thing."));
    fixture.turns.0.lock().unwrap().said_meanwhile.extend(others);

    let error = fixture.send("Why?").await.err().unwrap();

    assert_eq!(error.classify(), (ErrorKind::Conflict, "stale_write"));
    assert!(fixture.turns.0.lock().unwrap().begun.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_beginning_whose_commit_was_not_heard_of_goes_on() {
    let fixture = Fixture::answering([Ok(vec![Text("Because."), STOP])]);
    fixture.turns.0.lock().unwrap().begin_in_doubt = true;

    assert_eq!(kinds_and_text(&fixture.turn().await).last(), Some(&(Done, "Because.")));
}

#[tokio::test(start_paused = true)]
async fn a_beginning_that_may_be_stored_after_all_is_settled() {
    let fixture = Fixture::answering([]);
    {
        let mut stored = fixture.turns.0.lock().unwrap();
        stored.begin_in_doubt = true;
        stored.refuse_orphan.push_back(away());
    }

    let error = fixture.send("Why?").await.err().unwrap();
    sleep(Duration::from_millis(1)).await;

    assert_eq!(error.classify().0, ErrorKind::Unavailable);
    assert_eq!(fixture.finished().ended.outcome, Outcome::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_stored_while_the_model_is_still_thinking() {
    let fixture = Fixture::answering([Ok(vec![Queued(3), Hang])]);
    let _begun = fixture.send("Why?").await.unwrap();

    sleep(Duration::from_millis(250)).await;

    let stored = fixture.turns.0.lock().unwrap();
    let kinds = stored.checkpoints.iter().flat_map(|(_, c)| c.events.iter().map(|e| e.kind));
    assert!(kinds.eq([Start, InQueue]));
}

#[tokio::test(start_paused = true)]
async fn every_place_in_the_queue_is_stored() {
    let answer = vec![Queued(3), ms(1_000), Queued(2), ms(1_000), Queued(1), Hang];
    let fixture = Fixture::answering([Ok(answer)]);
    fixture.turns.0.lock().unwrap().refuse_checkpoint.push_back(away());
    let _begun = fixture.send("Why?").await.unwrap();

    sleep(Duration::from_millis(2_250)).await;

    let stored = fixture.turns.0.lock().unwrap();
    let kinds = stored.checkpoints.iter().flat_map(|(_, c)| c.events.iter().map(|e| e.kind));
    assert!(kinds.eq([Start, InQueue, InQueue, InQueue]));
}

#[tokio::test(start_paused = true)]
async fn the_model_that_was_asked_last_is_named() {
    let fixture = Fixture::answering([refused()]);
    fixture.fallback.answers.lock().unwrap().push_back(refused());

    fixture.turn().await;

    let writing = fixture.finished().ended.reply.writing.unwrap();
    assert_eq!(writing.model, "spare");
}
