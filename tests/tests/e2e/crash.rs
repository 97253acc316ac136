//! kill -9 in the middle of many replies: what was acknowledged is there, once and whole.

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use repartee_tests::server::{Answer, Client, Event, Events, Server, Setup};
use reqwest::{Method, header::ACCEPT};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

use crate::support::{
    SETTLED_WITHIN, assert_whole, conversation, generation_of, on_both_databases, settled,
    somebody, text, words, written,
};

const ROUNDS: usize = 10;
/// Some end before the process does, some don't.
const MODELS: [(&str, usize); 8] = [
    ("mock-2-5", 2),
    ("mock-6-10", 6),
    ("mock-10-15", 10),
    ("mock-20-15", 20),
    ("mock-40-15", 40),
    ("mock-60-15", 60),
    ("mock-80-15", 80),
    ("mock-200-15", 200),
];

on_both_databases!(
    nothing_that_was_acknowledged_is_lost_or_doubled,
    a_reader_learns_the_end_of_an_interrupted_reply,
);

/// What a client knows of a turn when the server has died.
#[derive(Debug)]
struct Known {
    conversation: String,
    words: usize,
    /// Of a stream.
    events: Vec<Event>,
    /// The answer of a caller who waited for all of it.
    answer: Option<Value>,
}

impl Known {
    fn is_acknowledged(&self) -> bool {
        self.answer.is_some() || self.events.last().is_some_and(|event| event.name == "done")
    }
}

/// Takes a turn until it is over or the server is gone, and counts what comes.
async fn take_turn(
    client: &Client,
    conversation: String,
    number: usize,
    came: mpsc::UnboundedSender<()>,
) -> Known {
    let (model, words) = MODELS[number % MODELS.len()];
    let mut known = Known { conversation, words, events: Vec::new(), answer: None };
    let path = format!("{}/messages", known.conversation);
    let request = client.request(Method::POST, &path);
    let request = request.json(&json!({"content": "Go on", "model": model}));
    if number % 3 == 2 {
        let answer = Answer::try_to(request).await;
        known.answer = answer.ok().filter(|answer| answer.status == 200).map(|turn| turn.json());
        // Whoever counts may have counted enough.
        let _ = came.send(());
        return known;
    }
    let Ok(mut events) = Events::try_of(request.header(ACCEPT, "text/event-stream")).await else {
        return known;
    };
    while let Ok(Some(event)) = events.try_next().await {
        known.events.push(event);
        let _ = came.send(());
    }
    known
}

/// Eight turns at once, and kill -9 after so many events.
async fn round(server: &mut Server, client: &Client, number: usize, events: usize) -> Vec<Known> {
    let (sender, mut came) = mpsc::unbounded_channel();
    let conversations = join_all((0..8).map(|_| conversation(client))).await;
    let turns: FuturesUnordered<_> = conversations
        .into_iter()
        .zip(number..)
        .map(|(conversation, number)| take_turn(client, conversation, number, sender.clone()))
        .collect();
    drop(sender);
    let kill = async {
        for _ in 0..events {
            came.recv().await;
        }
        server.kill().await;
    };
    let (known, ()) = tokio::join!(turns.collect(), kill);
    known
}

async fn assert_kept(client: &Client, known: &Known) {
    let stored = settled(client, &known.conversation).await;
    if known.is_acknowledged() {
        assert_eq!(stored.len(), 2, "{known:?}");
        assert_eq!(stored[1]["content"], words(known.words));
        assert_eq!(stored[1]["status"], "complete");
    }
    if let Some(turn) = &known.answer {
        assert_eq!(stored, [turn["message"].clone(), turn["reply"].clone()]);
    }
    if let Some(start) = known.events.first() {
        assert_eq!(stored[0]["id"], start.json()["user_message_id"], "{known:?}");
    }
    if stored.is_empty() {
        return;
    }
    assert_eq!(stored.len(), 2, "a question and its reply, or neither: {stored:?}");
    assert_reply_is_consistent(client, known, &stored[1]).await;
}

/// State, text and events of a reply tell the same, however far it came.
async fn assert_reply_is_consistent(client: &Client, known: &Known, reply: &Value) {
    let path = format!("/api/v1/generations/{}", text(&reply["generation_id"]));
    let generation = client.get(&path).await.expect(200);
    let events = client.resume(&format!("{path}/events"), None).await.rest().await;
    let end = events.last().expect("an end");
    assert!(words(known.words).starts_with(text(&reply["content"])), "{reply}");
    assert_eq!(end.json()["message"], *reply);
    match text(&reply["status"]) {
        "complete" => {
            assert_eq!((&*end.name, &generation["state"]), ("done", &json!("completed")));
            assert_eq!(reply["content"], words(known.words));
            assert_whole(&events);
        }
        "interrupted" => {
            assert_eq!((&*end.name, &generation["state"]), ("interrupted", &json!("interrupted")));
            assert_eq!(reply["is_usage_estimated"], true);
            // The first checkpoint may not have been made: then not even `start` is there.
            let terminal = events.iter().filter(|event| event.is_terminal()).count();
            assert_eq!(terminal, 1, "{events:?}");
            assert_eq!(reply["content"], written(&events));
            assert!(events.windows(2).all(|two| two[1].seq() == two[0].seq() + 1), "{events:?}");
        }
        status => panic!("{status}: {reply}"),
    }
    let shared = events.iter().zip(&known.events).filter(|(_, seen)| seen.name == "delta");
    for (stored, seen) in shared.filter(|(stored, _)| !stored.is_terminal()) {
        assert_eq!(stored, seen, "what was sent is what is stored");
    }
}

async fn nothing_that_was_acknowledged_is_lost_or_doubled(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let token = ada.token.unwrap();
    let mut known = Vec::new();
    for number in 0..ROUNDS {
        let client = server.client().with_token(&token);
        // From the first event to nearly the last: 37 and 160 have no common divisor.
        let events = 1 + (number * 37) % 160;
        known.extend(round(&mut server, &client, number, events).await);
        server.restart().await;
    }
    let acknowledged = known.iter().filter(|turn| turn.is_acknowledged()).count();
    assert!(acknowledged > 0 && acknowledged < known.len(), "{acknowledged} of {}", known.len());

    let client = server.client().with_token(&token);
    for turn in &known {
        assert_kept(&client, turn).await;
    }
    let listed = client.get("/api/v1/conversations?limit=100").await.expect(200);
    assert_eq!(crate::support::list(&listed["data"]).len(), known.len());
}

async fn a_reader_learns_the_end_of_an_interrupted_reply(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    // Far behind some checkpoints, and before the first one.
    let mut cut_off = Vec::new();
    for count in [60, 3, 1] {
        let conversation = conversation(&ada).await;
        let body = json!({"content": "Go on", "model": "mock-2000-20"});
        let mut stream = ada.stream(&format!("{conversation}/messages"), &body).await;
        cut_off.push((stream.take(count).await, stream));
    }
    server.kill().await;
    server.restart().await;
    let ada = server.client().with_token(&ada.token.unwrap());
    for (seen, _) in &mut cut_off {
        let path = generation_of(&seen[0]);
        let last = seen.last().unwrap().clone();

        let mut stream = ada.resume(&format!("{path}/events"), Some(&last.id)).await;

        assert_eq!(stream.status, 200, "after {}", last.id);
        let rest = timeout(SETTLED_WITHIN, stream.take(usize::MAX)).await.unwrap();
        assert_eq!(rest.first().map(Event::seq), Some(last.seq() + 1), "{rest:?}");
        let end = rest.last().unwrap();
        assert_eq!(end.name, "interrupted");
        assert_eq!(rest.iter().filter(|event| event.is_terminal()).count(), 1);
        let content = end.json()["message"]["content"].clone();
        assert!(words(2000).starts_with(text(&content)));
        ada.get(&format!("{path}/events?last_event_id={}", end.id)).await.expect(204);
    }
}
