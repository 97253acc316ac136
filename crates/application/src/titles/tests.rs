use std::collections::VecDeque;

use futures::FutureExt;
use repartee_domain::{accounts::Role, conversations::Subject, replies::FinishReason};

use super::*;
use crate::{
    completions::{CompletionRules, tests::FakeLedger},
    ports::{MockConversationRepository, Reserved},
    replies::fixture::{
        ACTOR, Answer, CONVERSATION, Fixture, START,
        Step::{self, Finish, Text},
        read, unavailable,
    },
};

const STOP: Step = Finish(FinishReason::Stop);

/// A conversation that has each of these titles when it is looked at, one after the other.
fn conversations(titles: &[Option<&str>]) -> MockConversationRepository {
    let mut titles: VecDeque<_> = titles.iter().map(|t| t.map(str::to_owned)).collect();
    let mut conversations = MockConversationRepository::new();
    conversations.expect_find().times(titles.len()).returning(move |owner, _| {
        let subject = Subject { title: titles.pop_front().unwrap(), ..Subject::default() };
        let code = "ABCDEFGHIJ01".parse().unwrap();
        Ok(Some(Conversation::begin(CONVERSATION, code, owner, subject, START)))
    });
    conversations
}

fn saved_as(conversations: &mut MockConversationRepository, title: &'static str) {
    conversations
        .expect_save()
        .once()
        .withf(move |conversation, told| {
            conversation.subject.title.as_deref() == Some(title)
                && *told == ChangeKind::ConversationUpdated
        })
        .returning(|conversation, _| Ok(conversation));
}

struct Writing {
    replies: Fixture,
    ledger: Arc<FakeLedger>,
    service: TitleService,
}

impl Writing {
    fn new(
        answers: impl IntoIterator<Item = Answer>,
        conversations: MockConversationRepository,
    ) -> Self {
        let (replies, ledger) = (Fixture::answering(answers), Arc::new(FakeLedger::default()));
        let rules = CompletionRules { most_per_user: 3, monthly_token_budget: Some(10_000) };
        let completions = replies.completions(ledger.clone(), rules);
        let clock = replies.clock();
        let service = TitleService::new(completions, Arc::new(conversations), clock);
        Self { replies, ledger, service }
    }

    async fn write(&self, model: Option<&str>) -> Result<(), AppError> {
        let untitled = Untitled {
            actor: ACTOR,
            conversation: CONVERSATION,
            model: model.map(str::to_owned),
            question: "Which tea keeps\nme awake?".into(),
            reply: "Black tea.".into(),
        };
        self.service.write(&untitled).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_model_that_replied_writes_it_beside_replies_and_it_is_counted() {
    let mut conversations = conversations(&[None, None]);
    saved_as(&mut conversations, "Wakeful teas");
    let answer = vec![Text("\"Wakeful "), Text("teas\"\n"), STOP, Step::Usage(30, 3)];
    let writing = Writing::new([Ok(answer)], conversations);

    writing.write(Some("main")).await.unwrap();

    let asked = writing.replies.model.asked.lock().unwrap()[0].clone();
    assert_eq!((asked.model.as_str(), asked.passed), ("main", None));
    let shown = &asked.turns[1].content;
    assert_eq!(shown, "Question:\nWhich tea keeps\nme awake?\n\nAnswer:\nBlack tea.");
    let wish = writing.ledger.wishes.lock().unwrap()[0].clone();
    assert_eq!(wish.most_running, None, "it does not keep a reply from being begun");
    assert_eq!(writing.ledger.settled.lock().unwrap().clone(), [33]);
}

#[tokio::test(start_paused = true)]
async fn the_questions_beginning_is_the_title_where_no_model_writes_one() {
    let question = || {
        let mut conversations = conversations(&[None, None]);
        saved_as(&mut conversations, "Which tea keeps me awake?");
        conversations
    };
    Writing::new([], question()).write(None).await.unwrap();

    let away = (0..6).map(|_| unavailable());
    Writing::new(away, question()).write(Some("spare")).await.unwrap();

    let thinking = vec![Text("<think>Hm"), STOP];
    Writing::new([Ok(thinking)], question()).write(Some("main")).await.unwrap();

    let writing = Writing::new([], question());
    writing.ledger.answers.lock().unwrap().push_back(Reserved::OverBudget);
    writing.write(Some("main")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_title_that_was_given_meanwhile_stays() {
    let writing = Writing::new([Ok(vec![Text("Tea"), STOP])], conversations(&[None, Some("Mine")]));
    writing.write(Some("main")).await.unwrap();

    let writing = Writing::new([], conversations(&[Some("Mine")]));
    writing.write(Some("main")).await.unwrap();
    assert!(writing.replies.model.asked.lock().unwrap().is_empty(), "nobody is asked");
}

#[tokio::test(start_paused = true)]
async fn another_change_meanwhile_does_not_cost_the_title() {
    let mut conversations = conversations(&[None, None, None]);
    conversations.expect_save().once().returning(|_, _| Err(PortError::Stale));
    saved_as(&mut conversations, "Tea");
    let writing = Writing::new([Ok(vec![Text("Tea"), STOP])], conversations);
    writing.write(Some("main")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_a_conversation_without_a_title_is_announced_once_it_is_complete() {
    let written = || Ok(vec![Text("Because."), STOP]);
    let fixture = Fixture::answering([written()]);
    let mut untitled = fixture.service.untitled();

    read(fixture.send("Why?").await.unwrap().events).await;

    let announced = untitled.recv().await.unwrap();
    assert_eq!((announced.conversation, announced.actor), (CONVERSATION, ACTOR));
    assert_eq!((announced.question.as_str(), announced.reply.as_str()), ("Why?", "Because."));
    assert_eq!(announced.model.as_deref(), Some("main"));
    assert!(untitled.recv().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn guests_and_replies_that_failed_are_not_announced() {
    let rejected = || Err(crate::ports::ModelError::Rejected { reason: "no".into() });
    let fixture = Fixture::answering([rejected()]);
    fixture.fallback.answers.lock().unwrap().push_back(rejected());
    let mut untitled = fixture.service.untitled();
    read(fixture.send("Why?").await.unwrap().events).await;
    assert!(untitled.recv().now_or_never().is_none());

    let fixture = Fixture::answering([Ok(vec![Text("Because."), STOP])]);
    let mut untitled = fixture.service.untitled();
    let guest = Actor { role: Role::Guest, ..ACTOR };
    let message = crate::replies::NewMessage { content: "Why?".into(), ..Default::default() };
    let begun = fixture.service.send(&guest, CONVERSATION.into(), message, None).await.unwrap();
    read(begun.events).await;
    assert!(untitled.recv().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn who_shuts_down_leaves_it_to_the_next_reply() {
    let writing = Writing::new([], conversations(&[None]));
    writing.replies.service.drain(Duration::ZERO).await;
    writing.write(Some("main")).await.unwrap();
}
