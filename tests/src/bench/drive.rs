//! Many connections that take turns for a while.

use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use tokio::time::Instant;

use super::{
    client::{Client, Taken, Turn},
    words::Faults,
};

/// However fast the server is, a slice of a measurement ends with this many turns on a connection.
const MOST_TURNS: usize = 20_000;

/// One connection, and the turns that it takes, over and over.
pub(super) struct Lane<'a> {
    pub(super) client: &'a mut Client,
    pub(super) turns: Vec<Turn>,
}

/// What came of many turns.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) taken: Vec<Taken>,
    pub(super) failed: usize,
    /// Of the first that failed.
    pub(super) reason: Option<String>,
    pub(super) faults: Faults,
    pub(super) elapsed: Duration,
}

impl Tally {
    pub(super) fn add(&mut self, taken: Result<Taken>) {
        match taken {
            Ok(taken) => {
                self.faults += taken.faults;
                self.taken.push(taken);
            }
            Err(error) => {
                self.failed += 1;
                self.reason.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.taken.extend(other.taken);
        self.failed += other.failed;
        self.reason = self.reason.take().or(other.reason);
        self.faults += other.faults;
    }

    pub(super) fn count(&self) -> f64 {
        u32::try_from(self.taken.len()).map_or(f64::INFINITY, f64::from)
    }

    pub(super) fn per_second(&self) -> f64 {
        self.count() / self.elapsed.as_secs_f64()
    }

    pub(super) fn sorted(&self, figure: impl Fn(&Taken) -> Duration) -> Vec<Duration> {
        let mut figures: Vec<Duration> = self.taken.iter().map(figure).collect();
        figures.sort_unstable();
        figures
    }
}

/// Every lane takes its turns, one after the other, until `time` is over; the last ones are waited for.
pub(super) async fn drive(lanes: Vec<Lane<'_>>, time: Duration) -> Tally {
    let begun = Instant::now();
    let tallies = join_all(lanes.into_iter().map(|lane| async move {
        let mut tally = Tally::default();
        for turn in lane.turns.iter().cycle().take(MOST_TURNS) {
            let taken = lane.client.take(turn).await;
            let failed = taken.is_err();
            tally.add(taken);
            // A lane that only fails would be the fastest of all.
            if failed || begun.elapsed() >= time {
                break;
            }
        }
        tally
    }));
    let mut all = Tally::default();
    tallies.await.into_iter().for_each(|tally| all.join(tally));
    all.elapsed = begun.elapsed();
    all
}
