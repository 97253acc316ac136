//! kill -9 at a hundred moments: what was written is kept, to a quarter of a second.

use std::time::{Duration, Instant};

use futures::future::join_all;
use repartee_tests::server::{Answer, Client, Engine, Event, Events, Server, Setup};
use reqwest::Method;
use serde_json::json;
use tokio::{sync::mpsc, time::interval};

use crate::support::{
    Random, begin, conversation, generation_of, settled, somebody, text, words, written,
};

const WORDS: usize = 400;
/// What kill -9 may cost of an unfinished reply.
const MOST_LOST: Duration = Duration::from_millis(250);
/// Between two commits of the test itself.
const PROBE_EVERY: Duration = Duration::from_millis(20);

/// A stream as far as its reader saw it, and when each event came.
#[derive(Debug)]
struct Seen {
    conversation: String,
    gap: Duration,
    events: Vec<(Event, Instant)>,
}

impl Seen {
    fn plain(&self) -> Vec<Event> {
        self.events.iter().map(|(event, _)| event.clone()).collect()
    }

    /// The longest time between two events, or the last one and the kill, beyond what the model
    /// takes between two words.
    fn stall(&self, killed: Instant) -> Duration {
        let came = self.events.iter().map(|(_, at)| *at);
        let is_cut_off = self.is_cut_off().then_some(killed);
        let next = came.clone().skip(1).chain(is_cut_off);
        let pauses = came.zip(next).map(|(one, next)| next.saturating_duration_since(one));
        pauses.max().unwrap_or_default().saturating_sub(self.gap)
    }

    fn is_cut_off(&self) -> bool {
        !self.events.iter().any(|(event, _)| event.is_terminal())
    }

    /// When the first event came whose text isn't in the first `kept` bytes.
    fn first_lost(&self, kept: usize) -> Option<Instant> {
        let mut length = 0;
        self.events.iter().find_map(|(event, at)| {
            length += event.text().len();
            (length > kept).then_some(*at)
        })
    }
}

async fn read(
    conversation: String,
    gap: Duration,
    mut stream: Events,
    came: mpsc::UnboundedSender<()>,
) -> Seen {
    let mut events = Vec::new();
    while let Ok(Some(event)) = stream.try_next().await {
        events.push((event, Instant::now()));
        // Whoever counts may have counted enough.
        let _ = came.send(());
    }
    Seen { conversation, gap, events }
}

/// Makes small commits until the server is gone; gives the longest time that one took. What is
/// written to the disk of a machine that is slow takes longer, and no reader sees it.
async fn slowest_commit(client: &Client, conversation: &str) -> Duration {
    let mut ticks = interval(PROBE_EVERY);
    let mut slowest = Duration::ZERO;
    for number in 0.. {
        ticks.tick().await;
        let title = json!({"title": format!("Probe {number}")});
        let asked = Instant::now();
        let answer = Answer::try_to(client.request(Method::PATCH, conversation).json(&title)).await;
        slowest = slowest.max(asked.elapsed());
        match answer {
            Ok(answer) => assert_eq!(answer.status, 200, "{answer:?}"),
            Err(_) => break,
        }
    }
    slowest
}

/// Some streams, and kill -9 after so many of their events; with how slow the machine was.
async fn round(
    server: &mut Server,
    client: &Client,
    streams: u64,
    random: &mut Random,
) -> (Vec<Seen>, Instant, Duration) {
    let (sender, mut came) = mpsc::unbounded_channel();
    let mut readers = Vec::new();
    for _ in 0..streams {
        let gap = 4 + random.below(17);
        let conversation = conversation(client).await;
        let stream = begin(client, &conversation, &format!("mock-{WORDS}-{gap}")).await;
        readers.push(read(conversation, Duration::from_millis(gap), stream, sender.clone()));
    }
    drop(sender);
    let count = 1 + random.below(90 * streams);
    let probed = conversation(client).await;
    let kill = async {
        for _ in 0..count {
            came.recv().await;
        }
        let at = Instant::now();
        server.kill().await;
        at
    };
    let commits = slowest_commit(client, &probed);
    let (seen, killed, slowest) = tokio::join!(join_all(readers), kill, commits);
    let stall = seen.iter().map(|seen| seen.stall(killed)).max().unwrap_or_default();
    // A checkpoint may wait for the one before it, which is as slow.
    (seen, killed, stall + 2 * slowest)
}

/// What is stored of one of them, and what its reader gets who comes back.
async fn assert_kept(client: &Client, seen: &Seen, killed: Instant, slowness: Duration) {
    let stored = settled(client, &seen.conversation).await;
    if seen.events.is_empty() {
        return;
    }
    let events = seen.plain();
    let reply = &stored[1];
    let content = text(&reply["content"]);
    let status = text(&reply["status"]);
    assert!(["interrupted", "complete"].contains(&status), "{reply}");
    assert!(words(WORDS).starts_with(content), "{content}");
    if let Some(came) = seen.first_lost(content.len()) {
        let lost = killed.saturating_duration_since(came);
        assert!(
            lost <= MOST_LOST + slowness,
            "{lost:?} are lost, and nothing stalled for more than {slowness:?}"
        );
    }

    let path = format!("{}/events", generation_of(&events[0]));
    let all = client.resume(&path, None).await.rest().await;
    assert_eq!(all.iter().filter(|event| event.is_terminal()).count(), 1, "{all:?}");
    let end = all.last().unwrap();
    assert!(end.is_terminal());
    assert_eq!(end.json()["message"], *reply);
    assert_eq!(written(&all), content);
    for (stored, seen) in all.iter().zip(&events).filter(|(stored, _)| !stored.is_terminal()) {
        assert_eq!(stored, seen, "the same number, the same event");
    }

    let last = events.last().unwrap();
    let rest = client.resume(&path, Some(&last.id)).await;
    if last.is_terminal() {
        assert_eq!(rest.status, 204);
        return;
    }
    let rest = rest.rest().await;
    assert_eq!(rest.first().map(Event::seq), Some(last.seq() + 1), "{rest:?}");
    assert_eq!(rest.iter().filter(|event| event.is_terminal()).count(), 1, "{rest:?}");
    assert_eq!(rest.last().unwrap().json()["message"], *reply);
    if rest.len() > 1 {
        assert_eq!(format!("{}{}", written(&events), written(&rest)), content);
    }
}

/// So many kills, each in the middle of so many streams.
async fn what_was_written_is_kept(engine: Engine, rounds: u64, streams: u64) {
    let mut random = Random::fresh();
    let mut server = Setup::on(engine).start().await;
    let token = somebody(&server, "ada").await.token.unwrap();
    let mut interrupted = 0;
    for _ in 0..rounds {
        let client = server.client().with_token(&token);
        let (seen, killed, slowness) = round(&mut server, &client, streams, &mut random).await;
        server.restart().await;
        let client = server.client().with_token(&token);
        for seen in &seen {
            assert_kept(&client, seen, killed, slowness).await;
        }
        interrupted += seen.iter().filter(|seen| seen.is_cut_off()).count() as u64;
    }
    assert!(interrupted * 2 > rounds * streams, "only {interrupted} were cut off");
}

#[tokio::test]
async fn a_hundred_replies_that_are_killed_keep_what_was_written() {
    what_was_written_is_kept(Engine::Sqlite, 25, 4).await;
}

/// Each time it takes until the lease of the process that was killed has run out.
#[tokio::test]
async fn so_do_replies_on_postgres() {
    what_was_written_is_kept(Engine::Postgres, 3, 20).await;
}
