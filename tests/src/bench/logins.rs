//! What everybody else feels of many log-ins at once: hashing passwords keeps a processor busy.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use hyper::Method;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    Site,
    client::{Call, Client},
    figures::{Table, ms, percentile},
    progress,
};

const LOG_INS: u32 = 200;
const USERS: usize = 20;
/// Between two questions after the server's health.
const PROBE: Duration = Duration::from_millis(5);
const AT_REST: usize = 400;

pub(super) async fn measure(site: &Site) -> Result<String> {
    let server = site.start_server("logins").await?;
    progress(&format!("log-ins: registering {USERS} users"));
    let mut registrar = site.registrar(&server, "logins");
    let mut calls = Vec::new();
    for _ in 0..USERS {
        calls.push(registrar.register().await?.log_in()?);
    }
    let mut probe = Client::new(server.address);
    progress("log-ins: the server at rest");
    let rest = at_rest(&mut probe).await?;
    progress(&format!("log-ins: {LOG_INS} at once"));
    let begun = Instant::now();
    let log_ins = calls.iter().cycle().zip(0..LOG_INS).map(|(call, _)| async move {
        // Each over a connection of its own.
        Client::new(server.address).json(call).await.map(drop)
    });
    let mut log_ins = std::pin::pin!(try_join_all(log_ins));
    let mut during = Vec::new();
    let mut ticks = ticks();
    loop {
        tokio::select! {
            done = &mut log_ins => {
                done?;
                break;
            }
            _ = ticks.tick() => {}
        }
        // The log-ins go on meanwhile.
        let asked = ask(&mut probe);
        tokio::pin!(asked);
        tokio::select! {
            took = &mut asked => during.push(took?),
            done = &mut log_ins => {
                done?;
                during.push(asked.await?);
                break;
            }
        }
    }
    let took = begun.elapsed();
    during.sort_unstable();
    ensure!(!during.is_empty(), "the log-ins were over before anything was asked");
    Ok(report(&rest, &during, took))
}

async fn at_rest(probe: &mut Client) -> Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(AT_REST);
    let mut ticks = ticks();
    for _ in 0..AT_REST {
        ticks.tick().await;
        took.push(ask(probe).await?);
    }
    took.sort_unstable();
    Ok(took)
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(PROBE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn ask(probe: &mut Client) -> Result<Duration> {
    let begun = Instant::now();
    probe.json(&Call::new(Method::GET, "/health", None, &Value::Null)?).await?;
    Ok(begun.elapsed())
}

fn report(rest: &[Duration], during: &[Duration], took: Duration) -> String {
    let mut table = Table::new(&["/health", "asked", "p50 ms", "p99 ms"]);
    for (name, sorted) in [("at rest", rest), ("during the log-ins", during)] {
        let [p50, p99] = [50, 99].map(|percent| format!("{:.2}", ms(percentile(sorted, percent))));
        table.row(&[name.to_owned(), sorted.len().to_string(), p50, p99]);
    }
    format!(
        "## {LOG_INS} log-ins at once\n\n{}\nAll were answered after {:.1} s, {:.0} a second.\n",
        table.into_text(),
        took.as_secs_f64(),
        f64::from(LOG_INS) / took.as_secs_f64()
    )
}
