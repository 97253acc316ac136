//! Memory, idle and with many slow streams open at once, each of a user of its own.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::{FutureExt, future::join_all, pin_mut, select};
use hyper::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    Site,
    accounts::{MOST_USERS, Model},
    client::{Call, Client, Turn},
    drive::Tally,
    figures::{Table, ms, percentile},
    process::Program,
    progress,
};

/// After the start, until the memory is looked at.
const SETTLE: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(100);

struct Held {
    tally: Tally,
    before_mib: f64,
    peak_mib: f64,
    /// The most replies that the upstream had open at one time.
    max_open: u64,
}

pub(super) async fn measure(site: &Site) -> Result<String> {
    let count = site.scaled(MOST_USERS, 50);
    let model = site.scaled(Model { words: 40, gap_ms: 500 }, Model { words: 12, gap_ms: 250 });
    let server = site.start_server("streams").await?;
    sleep(SETTLE).await;
    let idle_mib = server.resident_mib()?;

    let mut registrar = site.registrar(&server, "streams");
    let mut client = Client::new(server.address);
    let mut turns = Vec::with_capacity(count);
    for n in 0..count {
        if n % 100 == 0 {
            progress(&format!("streams: registered {n} of {count} users"));
        }
        turns.push(registrar.register().await?.converse(&mut client).await?.turn(model, true)?);
    }
    progress(&format!(
        "streams: {count} of {} directly, and then through the server",
        model.name()
    ));
    // One that nothing was asked of yet: memory that is free for reuse would hide what the streams take.
    let upstream = Program::upstream(&site.upstream_binary).await?;
    let direct_turns = vec![model.direct_turn(true)?; count];
    let direct = hold(site, &upstream, &upstream, direct_turns).await?;
    let through = hold(site, &server, &site.upstream, turns).await?;
    ensure!(
        direct.tally.failed == 0,
        "the upstream itself failed: {}",
        direct.tally.reason.unwrap_or_default()
    );

    let mut table = Table::new(&[
        "streams",
        "ok",
        "failed",
        "open at once",
        "MiB before",
        "MiB at most",
        "KiB per stream",
        "first word p50 ms",
        "p99 ms",
        "words lost / repeated / reordered",
    ]);
    let per_stream =
        [("direct (the upstream's memory)", &direct), ("through the server", &through)].map(
            |(name, held)| {
                let per_stream = (held.peak_mib - held.before_mib) * 1024.0
                    / u32::try_from(count).map_or(f64::NAN, f64::from);
                table.row(&held.row(name, per_stream));
                per_stream
            },
        );
    let reason = through.tally.reason.as_ref().map(|reason| format!("\nFirst failure: {reason}\n"));
    Ok(format!(
        "## Memory and open streams ({})\n\nIdle after its start, the server has {idle_mib:.1} MiB.\n\n{}\nA stream takes × {:.1} what it takes in the upstream.\n{}",
        model.name(),
        table.into_text(),
        per_stream[1] / per_stream[0],
        reason.unwrap_or_default()
    ))
}

/// Begins the streams one after the other, within two seconds, and watches `program` until all have ended.
async fn hold(
    site: &Site,
    program: &Program,
    upstream: &Program,
    turns: Vec<Turn>,
) -> Result<Held> {
    let mut upstream = Client::new(upstream.address);
    upstream.json(&Call::new(Method::POST, "/mock/reset", None, &Value::Null)?).await?;
    let before_mib = program.resident_mib()?;
    let ramp = site.scaled(Duration::from_secs(2), Duration::from_millis(500));
    let step = ramp / u32::try_from(turns.len())?.max(1);
    let streams = join_all(turns.into_iter().zip(0..).map(|(turn, n)| async move {
        sleep(step * n).await;
        Client::new(program.address).take(&turn).await
    }));
    let streams = streams.fuse();
    pin_mut!(streams);
    let mut peak_mib = before_mib;
    let taken = loop {
        let look = sleep(LOOK).fuse();
        pin_mut!(look);
        select! {
            taken = streams => break taken,
            () = look => peak_mib = peak_mib.max(program.resident_mib()?),
        }
    };
    let mut tally = Tally::default();
    for taken in taken {
        tally.add(taken);
    }
    let stats = upstream.json(&Call::new(Method::GET, "/mock/stats", None, &Value::Null)?).await?;
    Ok(Held {
        tally,
        before_mib,
        peak_mib,
        max_open: stats["max_open"].as_u64().unwrap_or_default(),
    })
}

impl Held {
    fn row(&self, name: &str, per_stream_kib: f64) -> Vec<String> {
        let firsts = self.tally.sorted(|taken| taken.first);
        let mut row =
            vec![name.to_owned(), firsts.len().to_string(), self.tally.failed.to_string()];
        row.push(self.max_open.to_string());
        row.extend(
            [self.before_mib, self.peak_mib, per_stream_kib].map(|figure| format!("{figure:.1}")),
        );
        row.extend([50, 99].map(|percent| format!("{:.2}", ms(percentile(&firsts, percent)))));
        row.push(self.tally.faults.to_string());
        row
    }
}
