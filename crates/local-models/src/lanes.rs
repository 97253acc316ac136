//! The threads that candle computes on: one core each.
//!
//! candle spreads every matrix product over all cores, by a pool of its own whose barriers spin
//! and whose callers take turns. For the small products of small models that is slower than one
//! thread, collapses on a busy machine, and lets no two replies run side by side. The number of
//! threads is read from the environment only, which a process cannot set for itself safely; but a
//! product that is asked for *on* one of the pool's threads is computed there and then. So those
//! threads become our lanes, for the life of the process.
//!
//! For the same reason candle must not be used anywhere else: its pool is taken, and would wait
//! for ever.

use std::{
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use candle_core::utils::barrier_pool;

pub(crate) type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Lanes {
    jobs: Sender<Job>,
    count: usize,
}

/// Opens the lanes at the first call.
pub(crate) fn lanes() -> &'static Lanes {
    static LANES: OnceLock<Lanes> = OnceLock::new();
    LANES.get_or_init(Lanes::open)
}

impl Lanes {
    fn open() -> Self {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let helpers = barrier_pool().n_workers();
        if helpers == 0 {
            // One core, or told so by the environment: candle computes on whatever thread asks.
            let count = thread::available_parallelism().map_or(1, NonZero::get);
            for lane in 0..count {
                let waiting = Arc::clone(&waiting);
                spawn(&format!("model-lane-{lane}"), move || serve(&waiting));
            }
            return Self { jobs, count };
        }
        spawn("model-lanes", move || {
            barrier_pool().execute(|lane| {
                if lane < helpers {
                    serve(&waiting);
                }
                // This thread is not of the pool: to leave would be to spin until the lanes end.
                loop {
                    thread::park();
                }
            });
        });
        Self { jobs, count: helpers }
    }

    /// How many jobs run at once: the cores less one, which stays free for everything else.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Runs a job once a lane is free, in the order of the calls. If there is no thread to run it,
    /// the job is dropped.
    pub(crate) fn run(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            tracing::error!("no thread to run a local model on");
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(body) {
        tracing::error!(%error, name, "cannot start a thread for the local models");
    }
}

/// Works until the last sender is gone, whatever a job does.
fn serve(waiting: &Mutex<Receiver<Job>>) {
    // The plain (not quantised) products go by rayon: a pool of this one thread keeps them here.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
    if let Err(error) = &pool {
        tracing::warn!(%error, "local models may use more than one core for a reply");
    }
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a local model panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn on_a_lane<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        lanes().run(Box::new(move || done.send(job()).unwrap()));
        result.recv().unwrap()
    }

    #[test]
    fn what_candle_splits_up_stays_on_the_lane() {
        let (lane, used) = on_a_lane(|| {
            let used = Mutex::new(HashSet::new());
            barrier_pool().execute_chunked(1_000, |_| {
                used.lock().unwrap().insert(thread::current().id());
            });
            (thread::current().id(), used.into_inner().unwrap())
        });

        assert_eq!(used, HashSet::from([lane]));
    }

    #[test]
    fn what_rayon_splits_up_stays_on_the_lane() {
        let (lane, joined) = on_a_lane(|| {
            let ids = rayon::join(|| thread::current().id(), || thread::current().id());
            (thread::current().id(), ids)
        });

        assert_eq!(joined, (lane, lane));
    }

    #[test]
    fn a_lane_outlives_a_panic() {
        for _ in 0..=lanes().count() {
            lanes().run(Box::new(|| panic!("a bad tensor")));
        }

        assert_eq!(on_a_lane(|| 7), 7);
    }
}
