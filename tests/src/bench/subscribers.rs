//! Long streams and sockets at once, each with a reply of its own: what is lost, and how late the rest is.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::{
    FutureExt, SinkExt, StreamExt,
    future::{LocalBoxFuture, join_all},
    pin_mut, select,
};
use hyper::Method;
use serde_json::json;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::{
    Site,
    accounts::{Account, Conversation},
    client::{Call, Client},
    figures::Table,
    process::Program,
    progress,
    reply::{StreamReader, Surface},
    words::Faults,
};

/// Ten events a second.
const GAP_MS: usize = 100;
/// Streams of one user: signing up is not what is measured.
const PER_USER: usize = 50;
/// Streams begun in a second.
const BEGUN_PER_S: usize = 200;
const LOOK: Duration = Duration::from_millis(200);
/// Beyond its length, until a stream is given up.
const SLACK: Duration = Duration::from_mins(1);
/// What is compared with is shorter.
const DIRECT_S: usize = 20;
/// A step of the ramp: how long, how much more, and from when on it is too late.
const STEP_S: usize = 20;
const LATE_MS: f64 = 1000.0;
const MOST_STREAMS: usize = 50_000;

/// What `--only subscribers` puts on the server
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Load {
    /// Event streams at once, of ten events a second
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    streams: usize,
    /// Sockets at once, of as many
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    sockets: usize,
    /// For how long
    #[arg(long, value_name = "COUNT", default_value_t = 120)]
    seconds: usize,
    /// Then put half as much again on it, over and over, until something breaks
    #[arg(long)]
    ramp: bool,
}

/// What came of a load.
#[derive(Debug, Default)]
struct Held {
    count: usize,
    failed: usize,
    reason: Option<String>,
    faults: Faults,
    ages_us: Vec<u64>,
    peak_mib: f64,
    /// Of one core.
    cpu_percent: f64,
}

type Following<'a> = LocalBoxFuture<'a, (StreamReader, Result<()>)>;

pub(super) async fn measure(site: &Site) -> Result<String> {
    let load = site.options.load;
    let load = site.scaled(load, Load { streams: 50, sockets: 10, seconds: 5, ..load });
    let server = site.start_server("subscribers").await?;
    let mut table = Table::new(&[
        "streams + sockets",
        "seconds",
        "failed",
        "words lost / repeated / reordered",
        "delay p50 ms",
        "p99 ms",
        "most ms",
        "CPU % of a core",
        "MiB at most",
    ]);
    let direct = Load { seconds: load.seconds.min(DIRECT_S), ..load };
    progress("subscribers: the same from the upstream directly");
    let held = hold(&site.upstream, directly(site, direct)?, direct).await?;
    table.row(&held.row("directly", direct));
    let mut accounts = Accounts::new(site, &server);
    progress(&format!("subscribers: {} + {} at once", load.streams, load.sockets));
    let held = hold(&server, accounts.following(load).await?, load).await?;
    table.row(&held.row("", load));
    let mut text = table_with(table, held.reason.as_deref());
    if load.ramp {
        text.push_str(&ramp(&server, &mut accounts, load).await?);
    }
    Ok(format!("## Subscribers (10 events a second each)\n\n{text}"))
}

fn table_with(table: Table, reason: Option<&str>) -> String {
    let reason = reason.map(|reason| format!("\nFirst failure: {reason}\n"));
    table.into_text() + &reason.unwrap_or_default()
}

/// More and more, until something breaks.
async fn ramp(server: &Program, accounts: &mut Accounts<'_>, from: Load) -> Result<String> {
    let mut text = String::from("\n### More and more\n\n");
    let mut load = Load { seconds: from.seconds.min(STEP_S), ..from };
    while load.streams < MOST_STREAMS {
        load.streams += load.streams / 2;
        load.sockets += load.sockets / 2;
        progress(&format!("subscribers: {} + {} at once", load.streams, load.sockets));
        let held = hold(server, accounts.following(load).await?, load).await?;
        let step = format!("- {}\n", held.row("", load).join(" | "));
        text.push_str(&step);
        progress(&step);
        let broken = if held.failed > 0 {
            format!("{} fail: {}", held.failed, held.reason.unwrap_or_default())
        } else if held.faults != Faults::default() {
            format!("words are lost, repeated or reordered: {}", held.faults)
        } else if held.age_ms(99) > LATE_MS {
            format!("a hundredth of the words is more than {LATE_MS} ms late")
        } else {
            continue;
        };
        let Load { streams, sockets, .. } = load;
        return Ok(text + &format!("\nIt breaks at {streams} + {sockets}: {broken}\n"));
    }
    text.push_str("\nNothing broke.\n");
    Ok(text)
}

/// Users and their conversations, made as they are needed.
struct Accounts<'a> {
    server: &'a Program,
    registrar: super::Registrar,
    users: Vec<Account>,
}

impl<'a> Accounts<'a> {
    fn new(site: &Site, server: &'a Program) -> Self {
        let registrar = site.registrar(server, "subscribers");
        Self { server, registrar, users: Vec::new() }
    }

    async fn following(&mut self, load: Load) -> Result<Vec<Following<'a>>> {
        let mut client = Client::new(self.server.address);
        let mut all: Vec<Following<'a>> = Vec::new();
        for number in 0..load.streams + load.sockets {
            let user = number / PER_USER;
            if user == self.users.len() {
                self.users.push(self.registrar.register().await?);
            }
            let account = self.users[user].clone();
            let conversation = account.converse(&mut client).await?;
            // Sockets among the streams, so that both begin at the same pace.
            let is_socket = number * load.sockets / (load.streams + load.sockets)
                != (number + 1) * load.sockets / (load.streams + load.sockets);
            let server = self.server;
            all.push(if is_socket {
                follow_socket(server, account, conversation, load).boxed_local()
            } else {
                follow_stream(server, conversation.ask(&load.model())?.accepting_events(), load)
                    .boxed_local()
            });
        }
        Ok(all)
    }
}

fn directly(site: &Site, load: Load) -> Result<Vec<Following<'_>>> {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let body = json!({"model": load.model(), "stream": true, "messages": messages});
    let call = Call::new(Method::POST, "/v1/chat/completions", None, &body)?;
    let follow = |_| {
        let call = call.clone();
        async move {
            let mut reader = StreamReader::new(Surface::Upstream, load.words());
            let mut client = Client::new(site.upstream.address);
            let followed = client.follow(&call, &mut reader).await;
            (reader, followed)
        }
        .boxed_local()
    };
    Ok((0..load.streams + load.sockets).map(follow).collect())
}

async fn follow_stream(server: &Program, call: Call, load: Load) -> (StreamReader, Result<()>) {
    let mut reader = StreamReader::new(Surface::Server, load.words());
    let followed = Client::new(server.address).follow(&call, &mut reader).await;
    (reader, followed)
}

async fn follow_socket(
    server: &Program,
    account: Account,
    conversation: Conversation,
    load: Load,
) -> (StreamReader, Result<()>) {
    let mut reader = StreamReader::new(Surface::Server, load.words());
    let followed = async {
        let stream = TcpStream::connect(server.address).await?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{}/ws/chat/{}", server.address, account.id);
        let mut request = url.into_client_request()?;
        let bearer = format!("Bearer {}", account.token);
        request.headers_mut().insert("Authorization", bearer.parse()?);
        let (mut socket, _) = client_async(request, stream).await?;
        let data =
            json!({"conversation_id": conversation.id, "content": "Hello", "model": load.model()});
        let frame = json!({"type": "send_message", "data": data});
        socket.send(Message::text(frame.to_string())).await?;
        while !reader.has_ended() {
            match socket.next().await.context("the socket ends before the reply")?? {
                Message::Text(frame) => reader.frame(frame.as_bytes())?,
                Message::Close(why) => anyhow::bail!("the socket is closed: {why:?}"),
                _ => {}
            }
        }
        socket.close(None).await?;
        Ok(())
    };
    let followed = followed.await;
    (reader, followed)
}

/// Begins them one after the other and watches `program` until all have ended.
async fn hold(program: &Program, following: Vec<Following<'_>>, load: Load) -> Result<Held> {
    let begun = Instant::now();
    let cpu = program.cpu()?;
    let limit = Duration::from_secs(u64::try_from(load.seconds)?) + SLACK;
    let all = following.into_iter().enumerate().map(async |(number, one)| {
        let wait = Duration::from_millis(u64::try_from(number * 1000 / BEGUN_PER_S).unwrap_or(0));
        sleep(wait).await;
        timeout(limit, one).await
    });
    let all = join_all(all).fuse();
    pin_mut!(all);
    let mut held = Held::default();
    let ended = loop {
        let look = sleep(LOOK).fuse();
        pin_mut!(look);
        select! {
            ended = all => break ended,
            () = look => held.peak_mib = held.peak_mib.max(program.resident_mib()?),
        }
    };
    held.cpu_percent =
        program.cpu()?.saturating_sub(cpu).as_secs_f64() * 100.0 / begun.elapsed().as_secs_f64();
    for one in ended {
        held.take(one.unwrap_or_else(|_| {
            let nothing = StreamReader::new(Surface::Server, load.words());
            (nothing, Err(anyhow::anyhow!("no end within {limit:?}")))
        }));
    }
    ensure!(held.count > 0, "there is nothing to measure");
    held.ages_us.sort_unstable();
    Ok(held)
}

impl Load {
    fn words(self) -> usize {
        self.seconds * 1000 / GAP_MS
    }

    fn model(self) -> String {
        format!("mock-stamped-{}-{GAP_MS}", self.words())
    }
}

impl Held {
    fn take(&mut self, (reader, followed): (StreamReader, Result<()>)) {
        self.count += 1;
        self.faults += reader.faults();
        self.ages_us.extend(reader.ages_us);
        if let Err(error) = followed {
            self.failed += 1;
            self.reason.get_or_insert_with(|| format!("{error:#}"));
        }
    }

    fn age_ms(&self, percent: usize) -> f64 {
        let rank = (self.ages_us.len() * percent).div_ceil(100).max(1);
        let age = self.ages_us.get(rank - 1).copied().unwrap_or(u64::MAX);
        Duration::from_micros(age).as_secs_f64() * 1e3
    }

    fn row(&self, name: &str, load: Load) -> Vec<String> {
        let mut row = vec![format!("{} + {} {name}", load.streams, load.sockets)];
        row.extend([load.seconds, self.failed].map(|count| count.to_string()));
        row.push(self.faults.to_string());
        row.extend([50, 99, 100].map(|percent| format!("{:.2}", self.age_ms(percent))));
        row.extend([self.cpu_percent, self.peak_mib].map(|figure| format!("{figure:.0}")));
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_of_a_socket_are_read_like_events() {
        let mut reader = StreamReader::new(Surface::Server, 2);
        for frame in [
            json!({"type": "message_started", "data": {"v": 1}}),
            json!({"type": "message_delta", "data": {"text": "tok~0~@1767225600000000 tok~1~"}}),
            json!({"type": "message_completed", "data": {"message": {"content": "tok~0~ tok~1~"}}}),
        ] {
            reader.frame(frame.to_string().as_bytes()).unwrap();
        }
        assert!(reader.has_ended());
        assert_eq!(reader.faults(), Faults::default());
        assert_eq!(reader.ages_us.len(), 1);
        let failed = json!({"type": "message_failed", "data": {}});
        assert!(reader.frame(failed.to_string().as_bytes()).is_err());
    }
}
