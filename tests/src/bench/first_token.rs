//! How much later the first token comes through the server than from the upstream itself.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use tokio::time::sleep;

use super::{
    Site,
    accounts::Model,
    client::{Client, Turn},
    drive::Tally,
    figures::{Table, ms, percentile},
    progress,
};

const MODEL: Model = Model { words: 64, gap_ms: 20 };
/// Few enough to leave the processors idle most of the time.
const LANES: u32 = 8;
/// How long a reply takes; the lanes begin evenly spread over it.
const REPLY: Duration = Duration::from_millis(64 * 20);

/// A connection to each side, which takes a turn at the one and then at the other.
struct Lane {
    direct: (Client, Turn),
    server: (Client, Turn),
}

pub(super) async fn measure(site: &Site) -> Result<String> {
    let server = site.start_server("first-token").await?;
    progress("first token: registering users");
    let mut registrar = site.registrar(&server, "first");
    let mut lanes = Vec::new();
    for _ in 0..LANES {
        let mut client = Client::new(server.address);
        let conversation = registrar.register().await?.converse_on(&mut client).await?;
        let mut direct = Client::new(site.upstream.address);
        // A turn that isn't counted opens the connection.
        direct.take(&Model { words: 1, gap_ms: 0 }.direct_turn(true)?).await?;
        lanes.push(Lane {
            direct: (direct, MODEL.direct_turn(true)?),
            server: (client, conversation.turn(MODEL, true)?),
        });
    }
    let pairs = site.scaled(8, 1);
    progress(&format!("first token: {pairs} pairs on {LANES} connections"));
    let pairs = lanes.into_iter().zip(0..).map(|(lane, n)| lane.pairs(REPLY * n / LANES, pairs));
    let (mut direct, mut server) = (Tally::default(), Tally::default());
    for (of_direct, of_server) in try_join_all(pairs).await? {
        direct.join(of_direct);
        server.join(of_server);
    }
    report(&direct, &server)
}

impl Lane {
    async fn pairs(mut self, delay: Duration, pairs: usize) -> Result<(Tally, Tally)> {
        sleep(delay).await;
        let (mut direct, mut server) = (Tally::default(), Tally::default());
        for _ in 0..pairs {
            direct.add(self.direct.0.take(&self.direct.1).await);
            server.add(self.server.0.take(&self.server.1).await);
        }
        Ok((direct, server))
    }
}

fn report(direct: &Tally, server: &Tally) -> Result<String> {
    for tally in [direct, server] {
        ensure!(
            tally.failed == 0,
            "a stream failed: {}",
            tally.reason.as_deref().unwrap_or_default()
        );
    }
    let firsts = [direct.sorted(|taken| taken.first), server.sorted(|taken| taken.first)];
    let mut table = Table::new(&[
        "first token",
        "streams",
        "p50 ms",
        "p95 ms",
        "words lost / repeated / reordered",
    ]);
    for ((name, tally), firsts) in
        [("direct", direct), ("through the server", server)].into_iter().zip(&firsts)
    {
        let [p50, p95] = [50, 95].map(|percent| format!("{:.2}", ms(percentile(firsts, percent))));
        table.row(&[name.to_owned(), firsts.len().to_string(), p50, p95, tally.faults.to_string()]);
    }
    let [of_direct, of_server] = firsts.map(|firsts| ms(percentile(&firsts, 50)));
    let (later, times) = (of_server - of_direct, of_server / of_direct);
    Ok(format!(
        "## First token ({}, low load)\n\n{}\nIt comes {later:.2} ms later through the server (× {times:.1}).\n",
        MODEL.name(),
        table.into_text()
    ))
}
