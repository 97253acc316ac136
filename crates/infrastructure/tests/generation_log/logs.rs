//! The logs that the tests run against, and what they do with them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use repartee_application::ports::{
    EventKind, EventStream, GenerationLog, IdGenerator, LoggedEvent,
};
use repartee_domain::GenerationId;
use repartee_infrastructure::{
    generation_log::{LocalGenerationLog, Retention},
    redis::{QueueLimits, RedisGenerationLog},
    system::{SystemClock, SystemIds, TrackedSpawner},
};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::server::{connect, eventually, shared_url, soon};

/// Makes a test on each kind of log of an `async fn(&Logs)` in the same module.
macro_rules! on_all_logs {
    ($($name:ident),+ $(,)?) => {
        mod local {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&$crate::logs::Logs::local()).await;
            })+
        }

        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&$crate::logs::Logs::redis().await).await;
            })+
        }

        mod two_processes {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&$crate::logs::Logs::two_processes().await).await;
            })+
        }
    };
}
pub(crate) use on_all_logs;

/// Where replies are written, and where they are read.
pub(crate) struct Logs {
    pub(crate) writer: Arc<dyn GenerationLog>,
    pub(crate) reader: Arc<dyn GenerationLog>,
    _processes: Vec<Process>,
}

impl Logs {
    pub(crate) fn local() -> Self {
        let log = Arc::new(local());
        Self { writer: log.clone(), reader: log, _processes: Vec::new() }
    }

    pub(crate) async fn redis() -> Self {
        let process = Process::start(&shared_url()).await;
        let log = process.log.clone();
        Self { writer: log.clone(), reader: log, _processes: vec![process] }
    }

    pub(crate) async fn two_processes() -> Self {
        let url = shared_url();
        let (writer, reader) = (Process::start(&url).await, Process::start(&url).await);
        Self {
            writer: writer.log.clone(),
            reader: reader.log.clone(),
            _processes: vec![writer, reader],
        }
    }

    /// Reads a reply that was begun. It may have to get here first.
    pub(crate) async fn subscribe(&self, generation: GenerationId, after: u64) -> EventStream {
        subscribe(&*self.reader, generation, after).await
    }
}

/// As good as a process of its own: it shares nothing with the others but Redis.
pub(crate) struct Process {
    pub(crate) log: Arc<RedisGenerationLog>,
    spawner: TrackedSpawner,
    stop: CancellationToken,
    _stopped: DropGuard,
}

impl Process {
    pub(crate) async fn start(url: &str) -> Self {
        Self::with(url, QueueLimits::default()).await
    }

    pub(crate) async fn with(url: &str, limits: QueueLimits) -> Self {
        let redis = connect(url).await;
        let spawner = TrackedSpawner::new(Handle::current());
        let stop = CancellationToken::new();
        let process = SystemIds::new().unwrap().id();
        let log = RedisGenerationLog::start(redis, local(), limits, process, &spawner, &stop);
        let log = Arc::new(log.await.unwrap());
        Self { log, spawner, _stopped: stop.clone().drop_guard(), stop }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon(self.spawner.close_and_wait()).await;
    }
}

pub(crate) fn local() -> LocalGenerationLog {
    LocalGenerationLog::new(Arc::new(SystemClock), Retention::default())
}

pub(crate) fn new_id() -> GenerationId {
    GenerationId::from_uuid(SystemIds::new().unwrap().id())
}

/// A reply whose log is open.
pub(crate) fn begun(log: &dyn GenerationLog) -> GenerationId {
    let generation = new_id();
    log.open(generation);
    generation
}

pub(crate) fn event(generation: GenerationId, seq: u64, kind: EventKind) -> Arc<LoggedEvent> {
    let data = Bytes::from(format!("{} {seq}", kind.as_str()));
    Arc::new(LoggedEvent::new(generation, seq, kind, data))
}

/// Numbers `from..=to`.
pub(crate) fn write(log: &dyn GenerationLog, generation: GenerationId, from: u64, to: u64) {
    for seq in from..=to {
        let kind = if seq == 1 { EventKind::Start } else { EventKind::Delta };
        log.append(event(generation, seq, kind));
    }
}

pub(crate) fn end(log: &dyn GenerationLog, generation: GenerationId, seq: u64) {
    log.append(event(generation, seq, EventKind::Done));
}

pub(crate) async fn subscribe(
    log: &dyn GenerationLog,
    generation: GenerationId,
    after: u64,
) -> EventStream {
    eventually(async || log.subscribe(generation, after).await.unwrap()).await
}

pub(crate) async fn rest(stream: EventStream) -> Vec<Arc<LoggedEvent>> {
    soon(stream.collect()).await
}

pub(crate) async fn next(stream: &mut EventStream) -> Arc<LoggedEvent> {
    soon(stream.next()).await.expect("the stream should go on")
}

/// Sees a reply get from one process to another. What is told while Redis isn't back for both may
/// be lost: then the next one is tried.
pub(crate) async fn a_new_reply_gets_through(from: &Process, to: &Process) {
    eventually(async || {
        let id = begun(&*from.log);
        write(&*from.log, id, 1, 1);
        let reading = timeout(Duration::from_secs(1), subscribe(&*to.log, id, 0));
        let reader = reading.await.ok()?;
        end(&*from.log, id, 2);
        let read: Vec<_> = reader.collect().await;
        (numbers(&read) == [1, 2]).then_some(())
    })
    .await;
}

pub(crate) fn numbers(events: &[Arc<LoggedEvent>]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

pub(crate) fn all(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}
