//! Replies under everything that can happen to them, in seeded interleavings: replicas that die,
//! lose their leases or the database, clients that are cut off and come back elsewhere, cancelling
//! from anywhere, deleting, repeated requests. Whatever is asked of a port takes a while, so that
//! others come in between. What must hold, holds under every seed.
//!
//! Seeds that fail are printed; `REPARTEE_TEST_SEED` runs one alone, `REPARTEE_TEST_SEEDS` says how
//! many there are.
#![cfg(test)]

mod client;
mod feeds;
mod log;
mod model;
mod pace;
mod replica;
mod tree;
mod world;

use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use repartee_application::{
    Actor, AppError, Credential, ErrorKind, IdempotencyKey, Origin,
    ports::{EventKind, LoggedEvent},
    replies::{Begun, NewMessage, ReplyOptions},
};
use repartee_domain::{
    ConversationId, GenerationId, LoginSessionId, MessageId, UserId, accounts::Role,
    conversations::ConversationChanges, replies::Generation,
};
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use self::{
    client::{Seen, Told, read_feed, read_reply},
    log::Hub,
    pace::Pace,
    replica::Replica,
    world::{State, World},
};

const USERS: u64 = 2;
const CONVERSATIONS: u64 = 4;
/// Seconds. Long enough for every lease, time-out and retry to run out.
const SETTLED: u32 = 120;

#[derive(Clone)]
pub(crate) struct Random(u64);

pub(crate) fn next(state: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = next(self.0);
        (self.0 >> 33) % limit.max(1)
    }

    pub(crate) fn fork(&mut self) -> Self {
        self.0 = next(self.0);
        Self(self.0 ^ 0x9e37_79b9_7f4a_7c15)
    }
}

pub(crate) fn delta_text(event: &LoggedEvent) -> Option<String> {
    let is_delta = event.kind == EventKind::Delta;
    is_delta.then(|| String::from_utf8(event.data.to_vec()).unwrap())
}

/// The processes that serve now.
#[derive(Clone)]
pub(crate) struct Replicas(Arc<Mutex<Vec<Replica>>>);

impl Replicas {
    pub(crate) fn any(&self, random: &mut Random) -> Replica {
        let replicas = self.0.lock().unwrap();
        replicas[usize::try_from(random.below(replicas.len() as u64)).unwrap()].clone()
    }
}

fn actor(n: u64) -> Actor {
    as_user(world::user(n))
}

fn as_user(user: UserId) -> Actor {
    let session = LoginSessionId::from_uuid(Uuid::from_u128(900));
    let credential = Credential::Session(session);
    Actor { user, role: Role::User, credential, origin: Origin::default() }
}

struct Simulation {
    random: Random,
    world: Arc<World>,
    hub: Option<Arc<Hub>>,
    replicas: Replicas,
    clients: JoinSet<()>,
    /// What each reader saw of each reply.
    seen: Arc<Mutex<Vec<(GenerationId, Seen)>>>,
    feeds: Vec<Arc<Mutex<Told>>>,
    keys: Arc<Mutex<HashMap<(ConversationId, u64), GenerationId>>>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        random.fork();
        let world = World::at(Pace::seeded(random.fork()), USERS, CONVERSATIONS);
        let hub = (random.below(2) == 0).then(Arc::<Hub>::default);
        let replicas = (0..2).map(|_| Replica::start(&world, hub.clone(), random.fork())).collect();
        let replicas = Replicas(Arc::new(Mutex::new(replicas)));
        let mut clients = JoinSet::new();
        let feeds: Vec<_> = (0..USERS).map(|_| Arc::<Mutex<Told>>::default()).collect();
        for (n, told) in (0..).zip(&feeds) {
            clients.spawn(read_feed(
                actor(n),
                world.clone(),
                replicas.clone(),
                random.fork(),
                told.clone(),
            ));
        }
        Self {
            random,
            world,
            hub,
            replicas,
            clients,
            seen: Arc::default(),
            feeds,
            keys: Arc::default(),
        }
    }

    /// Gives how the replies ended.
    async fn run(mut self) -> Vec<&'static str> {
        for _ in 0..10 + self.random.below(15) {
            self.step();
            let pause = [0, 2, 30, 300, 6_000][usize::try_from(self.random.below(5)).unwrap()];
            sleep(Duration::from_millis(self.random.below(pause + 1))).await;
            self.reap().await;
        }
        self.heal();
        for _ in 0..SETTLED {
            sleep(Duration::from_secs(1)).await;
            self.reap().await;
            if self.is_quiet() {
                break;
            }
        }
        self.check();
        let generations = &self.world.state().generations;
        let ends = generations.values().filter_map(|stored| stored.end.as_ref());
        ends.map(|end| end.ended.outcome.state().as_str()).collect()
    }

    fn step(&mut self) {
        match self.random.below(16) {
            0..=3 => self.send(),
            13 | 14 => self.regenerate(),
            15 => self.edit(),
            4 | 5 => self.cancel(),
            6 => self.join(),
            7 => self.crash(),
            8 => {
                let is_away = self.random.below(2) == 0;
                self.world.state().is_away = is_away;
            }
            9 => {
                let later = [0, self.random.below(3_000)][usize::from(self.random.below(2) == 0)];
                self.world.state().lose_answer = Some(Duration::from_millis(later));
            }
            10 => self.cut_off(),
            11 => self.delete(),
            _ => {
                if let Some(hub) = &self.hub {
                    hub.lose();
                    *hub.is_away.lock().unwrap() = self.random.below(2) == 0;
                }
            }
        }
    }

    /// Asks for a reply, half of the time so that it may be repeated.
    fn send(&mut self) {
        let Some((conversation, actor)) = self.any_conversation() else { return };
        let key = (self.random.below(2) == 0).then(|| self.random.below(3));
        let (replicas, mut random) = (self.replicas.clone(), self.random.fork());
        let (seen, keys) = (self.seen.clone(), self.keys.clone());
        self.clients.spawn(async move {
            let named = key.map(|key| format!("{conversation}-{key}"));
            let named = named.map(|key| IdempotencyKey::parse(&key, [0; 32]).unwrap());
            let content = format!("Why {}?", random.fork().0);
            let message = NewMessage { content, ..NewMessage::default() };
            let replica = replicas.any(&mut random);
            let begun = replica.replies.send(&actor, conversation.into(), message, named).await;
            if let (Ok(begun), Some(key)) = (&begun, key) {
                let generation = begun.generation.id;
                let first = *keys.lock().unwrap().entry((conversation, key)).or_insert(generation);
                assert_eq!(first, generation, "one key, one reply");
            }
            read_begun(begun, actor, replicas, random, seen).await;
        });
    }

    /// Has a question answered anew, by its own id or a reply's.
    fn regenerate(&mut self) {
        let Some((turn, actor)) = self.any_turn() else { return };
        let message = [turn.user_message, turn.message][usize::from(self.random.below(2) == 0)];
        let (replicas, mut random) = (self.replicas.clone(), self.random.fork());
        let seen = self.seen.clone();
        self.clients.spawn(async move {
            let (conversation, options) = (turn.conversation.into(), ReplyOptions::default());
            let replies = replicas.any(&mut random).replies;
            let begun =
                replies.regenerate(&actor, conversation, message.into(), options, None).await;
            read_begun(begun, actor, replicas, random, seen).await;
        });
    }

    fn edit(&mut self) {
        let Some((turn, actor)) = self.any_turn() else { return };
        let (replicas, mut random) = (self.replicas.clone(), self.random.fork());
        let seen = self.seen.clone();
        self.clients.spawn(async move {
            let question = turn.user_message;
            let content = format!("{EDITED}{question} {}", random.fork().0);
            let (conversation, options) = (turn.conversation.into(), ReplyOptions::default());
            let replies = replicas.any(&mut random).replies;
            let begun =
                replies.edit(&actor, conversation, question.into(), content, options, None).await;
            read_begun(begun, actor, replicas, random, seen).await;
        });
    }

    /// Deletes a conversation, with whatever is being written in it, and begins another.
    fn delete(&mut self) {
        let Some((conversation, actor)) = self.any_conversation() else { return };
        let replica = self.replicas.any(&mut self.random);
        self.clients.spawn(async move {
            let deleted = replica.conversations.delete(&actor, conversation.into()).await;
            let new = ConversationChanges::default();
            let created = replica.conversations.create(&actor, new, None).await;
            for error in deleted.err().into_iter().chain(created.err()) {
                check_refusal(&error);
            }
        });
    }

    fn any_conversation(&mut self) -> Option<(ConversationId, Actor)> {
        let state = self.world.state();
        let at = self.random.below(state.conversations.len() as u64);
        let (id, found) = state.conversations.iter().nth(usize::try_from(at).unwrap())?;
        Some((*id, as_user(found.owner)))
    }

    fn any_turn(&mut self) -> Option<(Generation, Actor)> {
        let state = self.world.state();
        let at = self.random.below(state.generations.len() as u64);
        let stored = state.generations.values().nth(usize::try_from(at).unwrap())?;
        let generation = stored.turn.generation.clone();
        let actor = as_user(generation.owner);
        Some((generation, actor))
    }

    fn any_generation(&mut self) -> Option<(GenerationId, Actor)> {
        self.any_turn().map(|(generation, actor)| (generation.id, actor))
    }

    fn cancel(&mut self) {
        let Some((generation, actor)) = self.any_generation() else { return };
        let replica = self.replicas.any(&mut self.random);
        self.clients.spawn(async move {
            if let Err(error) = replica.replies.cancel(&actor, generation).await {
                check_refusal(&error);
            }
        });
    }

    /// One more reader.
    fn join(&mut self) {
        let Some((generation, actor)) = self.any_generation() else { return };
        let mine = Seen::default();
        self.seen.lock().unwrap().push((generation, mine.clone()));
        let (replicas, random) = (self.replicas.clone(), self.random.fork());
        self.clients.spawn(read_reply(actor, generation, None, replicas, random, mine));
    }

    fn crash(&mut self) {
        let new = Replica::start(&self.world, self.hub.clone(), self.random.fork());
        let mut replicas = self.replicas.0.lock().unwrap();
        let at = usize::try_from(self.random.below(replicas.len() as u64)).unwrap();
        std::mem::replace(&mut replicas[at], new).crash();
    }

    /// Those who write are taken for dead, but are not.
    fn cut_off(&mut self) {
        self.world.state().cut_off_all();
    }

    fn heal(&mut self) {
        let mut state = self.world.state();
        state.is_calm = true;
        state.is_away = false;
        state.lose_answer = None;
        state.reconnect_all();
        self.world.pace.calm();
        if let Some(hub) = &self.hub {
            *hub.is_away.lock().unwrap() = false;
        }
    }

    /// What a client found wrong is the simulation's failure.
    async fn reap(&mut self) {
        while let Some(ended) = self.clients.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                resume_unwind(error.into_panic());
            }
        }
        tokio::task::yield_now().await;
    }

    /// Whether everything is over, and everybody knows it.
    fn is_quiet(&self) -> bool {
        let state = self.world.state();
        let is_read = |(generation, seen): &(GenerationId, Seen)| {
            let is_there = state.generations.contains_key(generation);
            !is_there || seen.lock().unwrap().last().is_some_and(|last| last.kind.is_terminal())
        };
        state.generations.values().all(|stored| stored.end.is_some())
            && (0..).zip(&self.feeds).all(|(n, feed)| is_told(&state, n, feed))
            && self.seen.lock().unwrap().iter().all(is_read)
    }

    fn check(&self) {
        let state = self.world.state();
        assert!(state.wrong.is_empty(), "{:?}", state.wrong);
        for (id, stored) in &state.generations {
            assert!(stored.end.is_some(), "{id} never ended");
        }
        let mut told: HashMap<(GenerationId, u64), Bytes> = HashMap::new();
        for (generation, seen) in self.seen.lock().unwrap().iter() {
            let seen = seen.lock().unwrap();
            for event in seen.iter().filter(|event| event.kind != EventKind::Interrupted) {
                let first = told.entry((*generation, event.seq)).or_insert(event.data.clone());
                assert_eq!(*first, event.data, "one number, one content");
            }
            if !state.generations.contains_key(generation) {
                // Deleted: whoever reads it may be let go anywhere.
                continue;
            }
            let end = seen.last().expect("a reader that saw nothing");
            let stored = &state.generations[generation].end.as_ref().unwrap().terminal;
            let is_over = end.kind.is_terminal();
            assert!(is_over, "{generation}: a reader hangs at {end:?} of {stored:?}");
            let text: String = seen.iter().filter_map(|event| delta_text(event)).collect();
            let data = std::str::from_utf8(&end.data).unwrap();
            let (_, content) = data.split_once('|').unwrap();
            match end.kind {
                EventKind::Interrupted => {
                    assert!(text.starts_with(content), "{text:?} {content:?}");
                }
                _ => assert_eq!(text, content, "what was told is what is stored"),
            }
        }
        for (n, feed) in (0..).zip(&self.feeds) {
            assert!(is_told(&state, n, feed), "a feed tells of everything");
            for id in &feed.lock().unwrap().cut_short {
                assert!(!state.generations.contains_key(id), "{id}: a feed tells all of a reply");
            }
        }
    }
}

/// Reads a reply to its end, where there is one.
async fn read_begun(
    begun: Result<Begun, AppError>,
    actor: Actor,
    replicas: Replicas,
    random: Random,
    seen: Arc<Mutex<Vec<(GenerationId, Seen)>>>,
) {
    let begun = match begun {
        Ok(begun) => begun,
        Err(error) => return check_refusal(&error),
    };
    let generation = begun.generation.id;
    let mine = Seen::default();
    seen.lock().unwrap().push((generation, mine.clone()));
    read_reply(actor, generation, Some(begun.events), replicas, random, mine).await;
}

/// How an edited question begins; then comes the id of what it was.
const EDITED: &str = "Rather than ";

/// Which question this one is an edited form of.
pub(crate) fn edited(content: &str) -> Option<MessageId> {
    content.strip_prefix(EDITED)?.split(' ').next()?.parse().ok()
}

/// Whether a device knows everything, and waits for nothing.
fn is_told(state: &State, user: u64, feed: &Mutex<Told>) -> bool {
    let told = feed.lock().unwrap();
    state.is_told(world::user(user), &told) && told.cursor.replies.is_empty()
}

/// What a client may be told while things go wrong.
fn check_refusal(error: &AppError) {
    let (kind, code) = error.classify();
    let is_expected = matches!(kind, ErrorKind::Unavailable | ErrorKind::TooManyRequests)
        || [
            "reply_in_progress",
            "stale_write",
            "conversation_not_found",
            "generation_not_found",
            "message_not_found",
        ]
        .contains(&code);
    // The task of a process that died.
    assert!(is_expected || code == "internal", "{error}");
}

/// How many seeds there are without a word from outside: a few, so that it takes a second.
const SEEDS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the test says how long")]
    std::env::var(name).ok()?.parse().ok()
}

/// Every fourth seed, so that four tests run beside each other.
fn run(quarter: u64) {
    let all = 0..number("REPARTEE_TEST_SEEDS").unwrap_or(SEEDS);
    let seeds: Vec<u64> = match number("REPARTEE_TEST_SEED") {
        Some(only) => vec![only],
        None => all.filter(|seed| seed % 4 == quarter).collect(),
    };
    let mut outcomes = BTreeMap::new();
    let mut failed = Vec::new();
    for seed in seeds.iter().copied() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let simulation =
            AssertUnwindSafe(|| runtime.block_on(async { Simulation::new(seed).run().await }));
        if let Ok(ended) = catch_unwind(simulation) {
            for outcome in ended {
                *outcomes.entry(outcome).or_insert(0) += 1;
            }
        } else {
            eprintln!("seed {seed} failed");
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "of {} seeds these failed: {failed:?}", seeds.len());
    eprintln!("{} seeds: {outcomes:?}", seeds.len());
    let every = ["cancelled", "completed", "failed", "interrupted"];
    assert!(seeds.len() == 1 || outcomes.into_keys().eq(every), "some ends never happened");
}

#[test]
fn what_must_hold_holds_under_every_seed_1() {
    run(0);
}

#[test]
fn what_must_hold_holds_under_every_seed_2() {
    run(1);
}

#[test]
fn what_must_hold_holds_under_every_seed_3() {
    run(2);
}

#[test]
fn what_must_hold_holds_under_every_seed_4() {
    run(3);
}
