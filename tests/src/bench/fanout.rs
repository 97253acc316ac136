//! One reply with 1, 10 and 100 readers: what each further one costs.

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use hyper::Method;
use serde_json::Value;

use super::{
    Site,
    accounts::Conversation,
    client::{Call, Client},
    figures::{Table, median},
    process::Program,
    progress,
    reply::{StreamReader, Surface},
};

const READERS: [usize; 3] = [1, 10, 100];

/// Processor time of the server for one reply, in microseconds an event.
async fn once(
    server: &Program,
    conversation: &Conversation,
    words: usize,
    readers: usize,
) -> Result<f64> {
    // Ten milliseconds apart, words are not merged: each is an event.
    let model = format!("mock-{words}-10");
    let before = server.cpu()?;
    let mut client = Client::new(server.address);
    let mut first = StreamReader::new(Surface::Server, words);
    let ask = conversation.ask(&model)?.accepting_events();
    let asking = client.follow(&ask, &mut first);
    let others = async {
        let path = running(server, conversation).await?;
        let call = Call::new(Method::GET, &path, Some(&conversation.token), &Value::Null)?;
        let reading = (1..readers).map(async |_| {
            let mut reader = StreamReader::new(Surface::Server, words);
            Client::new(server.address).follow(&call, &mut reader).await?;
            ensure!(reader.faults().lost == 0, "words are lost: {}", reader.faults());
            Ok(())
        });
        join_all(reading).await.into_iter().collect::<Result<()>>()
    };
    let (asked, others) = tokio::join!(asking, others);
    asked.and(others)?;
    let cpu = server.cpu()?.saturating_sub(before);
    Ok(cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(words)?))
}

/// The path of the events of the reply that is being written.
async fn running(server: &Program, conversation: &Conversation) -> Result<String> {
    let path = format!("/api/v1/conversations/{}/messages?order=desc&limit=1", conversation.id);
    let call = Call::new(Method::GET, &path, Some(&conversation.token), &Value::Null)?;
    let mut client = Client::new(server.address);
    loop {
        let page = client.json(&call).await?;
        let newest = &page["data"][0];
        if newest["status"] == "streaming" {
            let id = newest["generation_id"].as_str().context("a reply has a generation")?;
            return Ok(format!("/api/v1/generations/{id}/events"));
        }
        // It is being stored; asking takes long enough to be no busy loop.
        tokio::task::yield_now().await;
    }
}

pub(super) async fn measure(site: &Site) -> Result<String> {
    let (rounds, words) = site.scaled((5, 500), (1, 200));
    let server = site.start_server("fanout").await?;
    let mut registrar = site.registrar(&server, "fanout");
    let account = registrar.register().await?;
    let mut client = Client::new(server.address);
    let mut found = READERS.map(|_| Vec::new());
    for round in 0..rounds {
        progress(&format!("fanout: round {} of {rounds}", round + 1));
        for (readers, costs) in READERS.into_iter().zip(&mut found) {
            let conversation = account.converse(&mut client).await?;
            costs.push(once(&server, &conversation, words, readers).await?);
        }
    }
    let mut table =
        Table::new(&["readers of one reply", "CPU µs per event", "of it per further reader"]);
    let costs = found.map(median);
    for (readers, cost) in READERS.into_iter().zip(costs) {
        let further = (cost - costs[0]) / f64::from(u32::try_from(readers - 1)?);
        let further = if readers == 1 { "–".to_owned() } else { format!("{further:.1}") };
        table.row(&[readers.to_string(), format!("{cost:.0}"), further]);
    }
    Ok(format!(
        "## Readers of one reply (median of {rounds}, 100 events a second)\n\n{}",
        table.into_text()
    ))
}
