//! Going on reading, by every way there is and wherever one stopped.

use futures::future::join_all;
use repartee_tests::server::{Answer, Client, Event, Events, Setup};
use reqwest::{Method, header::ACCEPT};
use serde_json::json;

use crate::support::{
    assert_whole, begin, conversation, generation_of, id_of, on_both_databases, on_replicas,
    socket, somebody,
};

const PREAMBLE: &str = ": ping\nretry: 3000\n\n";

on_both_databases!(
    every_way_leads_on_at_every_cut_point_of_a_finished_reply,
    every_way_leads_on_at_every_cut_point_of_a_running_reply,
    every_way_leads_on_after_a_restart,
);
on_replicas!(
    another_replica_leads_on_at_every_cut_point_of_a_finished_reply,
    another_replica_leads_on_at_every_cut_point_of_a_running_reply,
);

/// A finished reply, as it was told when it was written.
struct Told {
    conversation: String,
    /// Its path.
    generation: String,
    /// Its events to the byte.
    frames: Vec<String>,
}

impl Told {
    async fn to(client: &Client, model: &str) -> Self {
        let conversation = conversation(client).await;
        let request = client
            .request(Method::POST, &format!("{conversation}/messages"))
            .header(ACCEPT, "text/event-stream")
            .json(&json!({"content": "Hello", "model": model}));
        let stream = Answer::to(request).await.text();
        let frames = stream.strip_prefix(PREAMBLE).expect("the preamble");
        let frames: Vec<_> = frames.split_inclusive("\n\n").map(str::to_owned).collect();
        let start = parsed(&frames[0]);
        Self { conversation, generation: generation_of(&start), frames }
    }

    fn events(&self) -> Vec<Event> {
        self.frames.iter().map(|frame| parsed(frame)).collect()
    }

    fn id_after(&self, cut: usize) -> String {
        format!("{}:{cut}", id_of(&self.generation))
    }

    /// By header and by query, on both routes.
    async fn requests_after(&self, client: &Client, cut: usize) -> Vec<Answer> {
        let id = self.id_after(cut);
        let stream = stream_of(&self.conversation);
        let events = format!("{}/events", self.generation);
        let mut answers = Vec::new();
        for (path, query) in [(events, "?"), (format!("{stream}?message=Hello"), "&")] {
            let header = client.request(Method::GET, &path).header("Last-Event-ID", &id);
            answers.push(Answer::to(header).await);
            answers.push(client.get(&format!("{path}{query}last_event_id={id}")).await);
        }
        answers
    }

    async fn assert_resumable(&self, client: &Client) {
        let events = self.events();
        let mut socket = socket(client).await;
        for cut in 0..=self.frames.len() {
            for answer in self.requests_after(client, cut).await {
                if cut == self.frames.len() {
                    answer.expect(204);
                    assert_eq!(answer.text(), "");
                } else {
                    answer.expect(200);
                    let rest = self.frames[cut..].concat();
                    assert_eq!(answer.text(), format!("{PREAMBLE}{rest}"), "after {cut}");
                }
            }
            if cut < self.frames.len() {
                let body = json!({"generation_id": id_of(&self.generation), "after": cut});
                socket.send("resume", body).await;
                let frames = socket.rest_of_reply().await;
                assert_eq!(frames.len(), events.len() - cut, "after {cut}: {frames:?}");
                for (frame, event) in frames.iter().zip(&events[cut..]) {
                    assert!(
                        frame.tells(event, id_of(&self.conversation)),
                        "{frame:?} instead of {event:?}"
                    );
                }
            }
        }
    }
}

fn parsed(frame: &str) -> Event {
    let field = |name: &str| {
        let value = frame.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_default().to_owned()
    };
    Event { id: field("id: "), name: field("event: "), data: field("data: ") }
}

fn stream_of(conversation: &str) -> String {
    conversation.replace("/conversations/", "/stream/chat/")
}

/// Reads a running reply on `writer`, and at each of its events begins to read the rest of it on
/// `reader` by another way.
async fn assert_running_reply_resumable(writer: &Client, reader: &Client) {
    let conversation = conversation(writer).await;
    let stream_route = format!("{}?message=x", stream_of(&conversation));
    let mut stream = begin(writer, &conversation, "mock-24-20").await;
    let mut events = vec![stream.next().await];
    let generation = generation_of(&events[0]);
    let (mut readers, mut sockets) = (Vec::new(), Vec::new());
    while !events.last().is_some_and(Event::is_terminal) {
        let (cut, id) = (events.len(), &events.last().unwrap().id);
        match cut % 5 {
            0 => {
                let mut socket = socket(reader).await;
                let body = json!({"generation_id": id_of(&generation), "after": cut});
                socket.send("resume", body).await;
                sockets.push((cut, socket));
            }
            way => {
                let (path, header) = match way {
                    1 => (format!("{generation}/events"), Some(&**id)),
                    2 => (format!("{generation}/events?last_event_id={id}"), None),
                    3 => (stream_route.clone(), Some(&**id)),
                    _ => (format!("{stream_route}&last_event_id={id}"), None),
                };
                readers.push((cut, reader.resume(&path, header).await));
            }
        }
        events.push(stream.next().await);
    }
    assert_whole(&events);

    let rests =
        readers.into_iter().map(async |(cut, rest): (usize, Events)| (cut, rest.rest().await));
    for (cut, rest) in join_all(rests).await {
        assert_eq!(rest, &events[cut..], "after {cut}");
    }
    assert!(!sockets.is_empty());
    for (cut, mut socket) in sockets {
        let frames = socket.rest_of_reply().await;
        assert_eq!(frames.len(), events.len() - cut, "after {cut}: {frames:?}");
        for (frame, event) in frames.iter().zip(&events[cut..]) {
            assert!(frame.tells(event, id_of(&conversation)), "{frame:?} instead of {event:?}");
        }
    }
}

async fn every_way_leads_on_at_every_cut_point_of_a_finished_reply(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for model in ["mock-12-6", "mock-cut", "mock-empty"] {
        Told::to(&ada, model).await.assert_resumable(&ada).await;
    }
}

async fn every_way_leads_on_at_every_cut_point_of_a_running_reply(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    assert_running_reply_resumable(&ada, &ada).await;
}

async fn every_way_leads_on_after_a_restart(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let told = Told::to(&ada, "mock-12-6").await;

    server.restart().await;

    let ada = server.client().with_token(&ada.token.unwrap());
    told.assert_resumable(&ada).await;
}

async fn another_replica_leads_on_at_every_cut_point_of_a_finished_reply(setup: Setup) {
    let [here, there] = setup.replicas().await;
    let ada = somebody(&here, "ada").await;
    let elsewhere = there.client().with_token(ada.token.as_deref().unwrap());
    Told::to(&ada, "mock-12-6").await.assert_resumable(&elsewhere).await;
}

async fn another_replica_leads_on_at_every_cut_point_of_a_running_reply(setup: Setup) {
    let [here, there] = setup.replicas().await;
    let ada = somebody(&here, "ada").await;
    let elsewhere = there.client().with_token(ada.token.as_deref().unwrap());
    assert_running_reply_resumable(&ada, &elsewhere).await;
}
