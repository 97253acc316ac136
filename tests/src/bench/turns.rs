//! Whole authenticated turns, in one answer and streamed, on one connection and on many.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use tokio::time::sleep;

use super::{
    Site,
    accounts::{Account, Conversation, Model},
    client::{Client, Turn},
    drive::{Lane, Tally, drive},
    figures::{Table, median, ms, percentile},
    process::Program,
    progress,
};

const MODEL: Model = Model { words: 64, gap_ms: 0 };
const CONNECTIONS: usize = 32;
/// What a program does after its answer belongs to the turn; it gets this long to do it.
const AFTERMATH: Duration = Duration::from_millis(50);

/// Direct and through the server, side by side.
struct Round {
    direct: Measured,
    server: Measured,
}

struct Measured {
    tally: Tally,
    cpu_us: f64,
}

struct Lanes {
    direct: Vec<Client>,
    server: Vec<Client>,
    accounts: Vec<Account>,
}

pub(super) async fn measure(site: &Site) -> Result<String> {
    let server = site.start_server("turns").await?;
    progress("turns: registering users");
    let mut registrar = site.registrar(&server, "turns");
    let mut accounts = Vec::new();
    for _ in 0..CONNECTIONS {
        accounts.push(registrar.register().await?);
    }
    let clients = |address| (0..CONNECTIONS).map(|_| Client::new(address)).collect();
    let mut lanes =
        Lanes { direct: clients(site.upstream.address), server: clients(server.address), accounts };

    let mut table = Table::new(&[
        "turn",
        "c",
        "turns/s",
        "of direct",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "direct p50 ms",
        "CPU µs/turn",
        "× upstream's",
        "failed",
        "words lost / repeated / reordered",
    ]);
    let mut notes = String::new();
    for (streamed, connections) in
        [(false, 1), (false, CONNECTIONS), (true, 1), (true, CONNECTIONS)]
    {
        let kind = if streamed { "streamed" } else { "whole" };
        progress(&format!("turns: {kind}, c={connections}"));
        // Not counted: connections, caches and branch predictors get warm.
        let warm = site.scaled(Duration::from_millis(500), Duration::from_millis(100));
        lanes.round(site, &server, streamed, connections, warm).await?;
        let mut rounds = Vec::new();
        let time = site.scaled(Duration::from_secs(2), Duration::from_millis(400));
        for _ in 0..site.scaled(5, 2) {
            rounds.push(lanes.round(site, &server, streamed, connections, time).await?);
        }
        let (row, reason) = row(kind, connections, rounds)?;
        table.row(&row);
        if let Some(reason) = reason {
            notes.extend(["\nFirst failure: ", &reason, "\n"]);
        }
    }
    let name = MODEL.name();
    Ok(format!("## Whole turns ({name}, 20 messages of history)\n\n{}{notes}", table.into_text()))
}

impl Lanes {
    async fn round(
        &mut self,
        site: &Site,
        server: &Program,
        streamed: bool,
        connections: usize,
        time: Duration,
    ) -> Result<Round> {
        let turn = MODEL.direct_turn(streamed)?;
        let turns = vec![vec![turn]; connections];
        let direct = measured(&site.upstream, &mut self.direct, turns, time).await?;
        let turns = self.fresh_turns(streamed, connections).await?;
        let server = measured(server, &mut self.server, turns, time).await?;
        Ok(Round { direct, server })
    }

    /// New conversations for every round, and as many for one connection as for all: a history that grows with
    /// the turns would make the fast look slow.
    async fn fresh_turns(&mut self, streamed: bool, connections: usize) -> Result<Vec<Vec<Turn>>> {
        let accounts = self.accounts[..connections].iter().cycle();
        let made = self
            .server
            .iter_mut()
            .zip(accounts)
            .map(|(client, account)| account.converse_on(client));
        let conversations: Vec<Conversation> = try_join_all(made).await?;
        let mut turns = vec![Vec::new(); connections];
        for (n, conversation) in conversations.iter().enumerate() {
            turns[n % connections].push(conversation.turn(MODEL, streamed)?);
        }
        Ok(turns)
    }
}

async fn measured(
    program: &Program,
    clients: &mut [Client],
    turns: Vec<Vec<Turn>>,
    time: Duration,
) -> Result<Measured> {
    let lanes =
        clients.iter_mut().zip(turns).map(|(client, turns)| Lane { client, turns }).collect();
    let before = program.cpu()?;
    let tally = drive(lanes, time).await;
    sleep(AFTERMATH).await;
    let cpu = program.cpu()?.saturating_sub(before);
    ensure!(!tally.taken.is_empty(), "no turn succeeded: {}", tally.reason.unwrap_or_default());
    let cpu_us = cpu.as_secs_f64() * 1e6 / tally.count();
    Ok(Measured { tally, cpu_us })
}

fn row(
    kind: &str,
    connections: usize,
    rounds: Vec<Round>,
) -> Result<(Vec<String>, Option<String>)> {
    let rate = median(rounds.iter().map(|round| round.server.tally.per_second()));
    let of_direct = median(
        rounds
            .iter()
            .map(|round| round.server.tally.per_second() / round.direct.tally.per_second()),
    );
    let cpu = median(rounds.iter().map(|round| round.server.cpu_us));
    let times_upstream =
        median(rounds.iter().map(|round| round.server.cpu_us / round.direct.cpu_us));
    let (mut server, mut direct) = (Tally::default(), Tally::default());
    for round in rounds {
        server.join(round.server.tally);
        direct.join(round.direct.tally);
    }
    ensure!(
        direct.failed == 0,
        "the upstream itself failed: {}",
        direct.reason.unwrap_or_default()
    );
    let latencies = server.sorted(|taken| taken.whole);
    let direct_p50 = percentile(&direct.sorted(|taken| taken.whole), 50);
    let mut row = vec![
        kind.to_owned(),
        connections.to_string(),
        format!("{rate:.0}"),
        format!("{of_direct:.3}"),
    ];
    row.extend([50, 95, 99].map(|percent| format!("{:.2}", ms(percentile(&latencies, percent)))));
    row.extend([
        format!("{:.2}", ms(direct_p50)),
        format!("{cpu:.0}"),
        format!("{times_upstream:.1}"),
    ]);
    row.extend([server.failed.to_string(), server.faults.to_string()]);
    Ok((row, server.reason))
}
