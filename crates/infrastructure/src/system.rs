//! The machine's own clock, its random generator and its tasks.

use std::process;

use chrono::{DateTime, SubsecRound, Utc};
use futures::future::BoxFuture;
use repartee_application::ports::{Clock, IdGenerator, Spawner};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Wall-clock time, cut to microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        let now = Utc::now();
        now.trunc_subsecs(6)
    }
}

/// Ids and secrets from the operating system's generator.
#[derive(Debug, Clone)]
pub struct SystemIds(());

impl SystemIds {
    /// # Errors
    /// When the operating system has no secure generator: nothing safe can be served then, and
    /// the start is the time to say so.
    pub fn new() -> Result<Self, getrandom::Error> {
        getrandom::fill(&mut [0; 32]).map(|()| Self(()))
    }
}

impl IdGenerator for SystemIds {
    fn id(&self) -> Uuid {
        // The crate keeps one counter per process, which goes on where the clock is set back. It
        // draws on the generator that `new` has seen at work, and could not go on without it.
        #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
        Uuid::now_v7()
    }

    fn random(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        if let Err(error) = getrandom::fill(&mut bytes) {
            // It worked in `new`, and once seeded the kernel's generator cannot run dry
            // (getrandom(2)): somebody took the system call away from the running process. A
            // token that can be guessed opens an account; a process that ends is started again,
            // and its replies are settled as interrupted.
            tracing::error!(%error, "the secure random generator is gone: stopping");
            process::abort();
        }
        bytes
    }
}

/// Counts what it spawned, so that shutting down can wait for it.
#[derive(Debug, Clone)]
pub struct TrackedSpawner {
    runtime: Handle,
    tracker: TaskTracker,
}

impl TrackedSpawner {
    /// A task runs on the runtime that it is spawned from, for that is where its reader is: each
    /// hop to another thread would cost more than a token does. actix-web's workers have a runtime
    /// each, which ends with the server: wait for the tasks before stopping it. Where there is no
    /// runtime, `runtime` is taken.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, tracker: TaskTracker::new() }
    }

    /// Waits until every task is over, those included that are spawned meanwhile. Waits for ever
    /// for one that hangs: the time limit is the caller's.
    pub async fn close_and_wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Spawner for TrackedSpawner {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let here = Handle::try_current();
        self.tracker.spawn_on(task, here.as_ref().unwrap_or(&self.runtime));
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn instants_are_what_a_database_keeps() {
        assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1_000, 0);
    }

    #[test]
    fn ids_of_one_thread_ascend_and_those_of_many_differ() {
        let ids = SystemIds::new().unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let ids = ids.clone();
                thread::spawn(move || (0..5_000).map(|_| ids.id()).collect::<Vec<_>>())
            })
            .collect();
        let made: Vec<Vec<Uuid>> = threads.into_iter().map(|t| t.join().unwrap()).collect();

        assert!(made.iter().all(|ids| ids.is_sorted_by(|a, b| a < b)));
        assert!(made.iter().flatten().all(|id| id.get_version_num() == 7));
        assert_eq!(made.iter().flatten().collect::<HashSet<_>>().len(), 20_000);
    }

    #[test]
    fn random_values_differ() {
        let ids = SystemIds::new().unwrap();
        assert_ne!(ids.random(), ids.random());
    }

    #[tokio::test]
    async fn shutting_down_waits_for_what_was_spawned() {
        let spawner = TrackedSpawner::new(Handle::current());
        let (go, gone) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        spawner.spawn(Box::pin(async move {
            gone.await.unwrap();
            done.send(()).unwrap();
        }));
        let mut waiting = Box::pin(spawner.close_and_wait());

        assert!(futures::poll!(&mut waiting).is_pending());
        go.send(()).unwrap();
        waiting.await;

        assert!(is_done.await.is_ok());
    }

    #[tokio::test]
    async fn a_task_may_be_spawned_from_a_thread_without_a_runtime() {
        let spawner = TrackedSpawner::new(Handle::current());
        let (done, is_done) = oneshot::channel();
        let elsewhere = spawner.clone();
        thread::spawn(move || {
            elsewhere.spawn(Box::pin(async { done.send(()).unwrap() }));
        })
        .join()
        .unwrap();

        is_done.await.unwrap();
        spawner.close_and_wait().await;
    }

    #[tokio::test]
    async fn a_task_that_panics_holds_nobody_up() {
        let spawner = TrackedSpawner::new(Handle::current());
        spawner.spawn(Box::pin(async { panic!("on purpose") }));
        spawner.close_and_wait().await;
    }
}
