//! Answering anew, and asking otherwise.

use repartee_domain::{
    MessageId,
    conversations::Branching,
    messages::{Message, MessageRole},
};
use uuid::Uuid;

use super::STOP;
use crate::{
    AppError,
    ports::{NewTurn, Question},
    replies::{
        Begun, NewMessage, ReplyOptions,
        fixture::{ACTOR, CONVERSATION, Fixture, Step::Text, read, said},
    },
};

fn id(number: u128) -> MessageId {
    MessageId::from_uuid(Uuid::from_u128(number))
}

/// Two turns, the messages 1 to 4, as they are stored while nobody has branched.
fn fixture() -> Fixture {
    let fixture = Fixture::answering([Ok(vec![Text("Anew."), STOP])]);
    let reply = |number: u64, content| {
        let parent = Some(id(u128::from(number) - 1));
        Message { parent, ..said(number, MessageRole::Assistant, content) }
    };
    fixture.turns.0.lock().unwrap().history = vec![
        said(1, MessageRole::User, "First?"),
        reply(2, "One."),
        said(3, MessageRole::User, "Second?"),
        reply(4, "Two."),
    ];
    fixture
}

async fn regenerate(fixture: &Fixture, message: u128) -> Result<Begun, AppError> {
    let options = ReplyOptions::default();
    fixture.service.regenerate(&ACTOR, CONVERSATION.into(), id(message).into(), options, None).await
}

async fn edit(fixture: &Fixture, message: u128) -> Result<Begun, AppError> {
    let (content, options) = ("Rather?".to_owned(), ReplyOptions::default());
    let message = id(message).into();
    fixture.service.edit(&ACTOR, CONVERSATION.into(), message, content, options, None).await
}

/// What was stored, and what the model was shown but for the system message.
async fn stored(fixture: &Fixture, begun: Begun) -> (NewTurn, Vec<String>) {
    read(begun.events).await;
    let asked = fixture.model.asked.lock().unwrap().remove(0).turns;
    let shown = asked.into_iter().skip(1).map(|turn| turn.content).collect();
    (fixture.turns.0.lock().unwrap().begun.remove(0), shown)
}

#[tokio::test(start_paused = true)]
async fn a_question_that_was_brought_from_elsewhere_may_be_longer_than_one_that_is_asked() {
    let fixture = fixture();
    let long = "why ".repeat(30_000);
    fixture.turns.0.lock().unwrap().history[0].content = long.clone();

    let begun = regenerate(&fixture, 1).await.unwrap();

    assert_eq!(begun.question.content, long);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_anew_by_its_own_id_or_a_replys() {
    for message in [3, 4] {
        let fixture = fixture();
        let begun = regenerate(&fixture, message).await.unwrap();
        assert_eq!((begun.question.id, begun.question.parent), (id(3), Some(id(2))));

        let (turn, shown) = stored(&fixture, begun).await;

        assert_eq!(shown, ["First?", "One.", "Second?"]);
        assert!(matches!(turn.question, Question::Stored(question) if question.id == id(3)));
        assert_eq!(turn.reply.parent, Some(id(3)));
        assert_eq!((turn.branching, turn.seen), (Branching::First, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_question_is_answered_anew_as_if_nothing_had_been_said() {
    let fixture = fixture();
    let begun = regenerate(&fixture, 2).await.unwrap();
    assert_eq!(begun.question.parent, None);
    let (turn, shown) = stored(&fixture, begun).await;
    assert_eq!(shown, ["First?"]);
    assert_eq!((turn.branching, turn.seen), (Branching::First, 4));
}

#[tokio::test(start_paused = true)]
async fn a_question_at_the_end_is_answered_without_a_branch() {
    let fixture = fixture();
    fixture.turns.0.lock().unwrap().history.push(said(5, MessageRole::User, "Third?"));
    let begun = regenerate(&fixture, 5).await.unwrap();
    let (turn, shown) = stored(&fixture, begun).await;
    assert_eq!(shown, ["First?", "One.", "Second?", "Two.", "Third?"]);
    assert_eq!((turn.branching, turn.question.message().parent), (Branching::Linear, None));
}

#[tokio::test(start_paused = true)]
async fn an_edited_question_stands_where_the_first_one_does() {
    let fixture = fixture();
    let begun = edit(&fixture, 3).await.unwrap();
    let (turn, shown) = stored(&fixture, begun).await;
    assert_eq!(shown, ["First?", "One.", "Rather?"]);
    let Question::New(question) = turn.question else { panic!("it is a new one") };
    assert_eq!((question.parent, turn.branching), (Some(id(2)), Branching::First));
    assert_eq!(turn.reply.parent, Some(question.id));
}

#[tokio::test(start_paused = true)]
async fn what_follows_an_earlier_message_is_a_branch_and_what_follows_the_last_is_none() {
    let expected = [
        (2, Branching::First, Some(id(2)), vec!["First?", "One.", "Third?"]),
        (4, Branching::Linear, None, vec!["First?", "One.", "Second?", "Two.", "Third?"]),
    ];
    for (parent, branching, named, expected) in expected {
        let fixture = fixture();
        let message = NewMessage {
            content: "Third?".into(),
            parent: Some(id(parent).into()),
            ..NewMessage::default()
        };
        let begun = fixture.service.send(&ACTOR, CONVERSATION.into(), message, None).await;
        let (turn, shown) = stored(&fixture, begun.unwrap()).await;
        assert_eq!(shown, expected);
        assert_eq!((turn.branching, turn.question.message().parent), (branching, named));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_meanwhile_is_looked_at_again() {
    let fixture = fixture();
    let meanwhile = said(5, MessageRole::User, "A note");
    fixture.turns.0.lock().unwrap().said_meanwhile.push_back(meanwhile);
    let begun = regenerate(&fixture, 4).await.unwrap();
    let (turn, shown) = stored(&fixture, begun).await;
    assert_eq!((turn.seen, shown.len()), (5, 3));
}

#[tokio::test(start_paused = true)]
async fn what_neither_asks_nor_answers_is_refused() {
    let fixture = fixture();
    let lonely = said(6, MessageRole::Assistant, "To whom?");
    let note = said(5, MessageRole::System, "A note");
    fixture.turns.0.lock().unwrap().history.extend([note, lonely]);

    for refused in [
        regenerate(&fixture, 5).await,
        regenerate(&fixture, 6).await,
        edit(&fixture, 4).await,
        edit(&fixture, 5).await,
    ] {
        let Some(AppError::Invalid(errors)) = refused.err() else { panic!("it is refused") };
        assert_eq!(errors[0].field, "message_id");
    }
    let unknown = regenerate(&fixture, 9).await.err().unwrap();
    assert_eq!(unknown.classify().1, "message_not_found");
    assert!(fixture.turns.0.lock().unwrap().begun.is_empty());
}
