//! kill -9 at a hundred moments: what was written is kept, to a quarter of a second.

use std::time::{Duration, Instant};

use futures::future::join_all;
use repartee_tests::server::{Client, Engine, Event, Events, Server, Setup};
use tokio::sync::mpsc;

use crate::support::{
    Random, begin, conversation, generation_of, settled, somebody, text, words, written,
};

const WORDS: usize = 400;
/// What kill -9 may cost of an unfinished reply.
const MOST_LOST: Duration = Duration::from_millis(250);

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

    /// The longest time between two events, beyond what the model takes between two words.
    fn stall(&self) -> Duration {
        let pauses = self.events.windows(2).map(|two| two[1].1.duration_since(two[0].1));
        pauses.max().unwrap_or_default().saturating_sub(self.gap)
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

/// Some streams, and kill -9 after so many of their events.
async fn round(
    server: &mut Server,
    client: &Client,
    streams: u64,
    random: &mut Random,
) -> (Vec<Seen>, Instant) {
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
    let kill = async {
        for _ in 0..count {
            came.recv().await;
        }
        let at = Instant::now();
        server.kill().await;
        at
    };
    tokio::join!(join_all(readers), kill)
}

/// What is stored of one of them, and what its reader gets who comes back.
async fn assert_kept(client: &Client, seen: &Seen, killed: Instant, stall: Duration) {
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
            lost <= MOST_LOST + stall,
            "{lost:?} are lost, and nothing stalled for more than {stall:?}"
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
        let (seen, killed) = round(&mut server, &client, streams, &mut random).await;
        server.restart().await;
        let client = server.client().with_token(&token);
        let stall = seen.iter().map(Seen::stall).max().unwrap_or_default();
        for seen in &seen {
            assert_kept(&client, seen, killed, stall).await;
        }
        let is_cut_off = |seen: &&Seen| !seen.events.iter().any(|(event, _)| event.is_terminal());
        interrupted += seen.iter().filter(is_cut_off).count() as u64;
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
