//! Waiting for what has to come, and no longer than it may take.

use std::time::Duration;

use repartee_tests::server::Client;
use serde_json::Value;
use tokio::time::{interval, timeout};

use super::messages;

/// Another process settles what a dead one left when its lease of 15 s has run out.
pub(crate) const SETTLED_WITHIN: Duration = Duration::from_secs(40);
/// What the contract wants within a second may take longer where the machine is busy.
pub(crate) const WITHIN_A_SECOND: Duration = Duration::from_secs(15);

/// Asks again and again until it is so; a panic where it isn't within `limit`.
pub(crate) async fn eventually(what: &str, limit: Duration, is_so: impl AsyncFn() -> bool) {
    let mut ticks = interval(Duration::from_millis(20));
    let wait = async {
        while !is_so().await {
            ticks.tick().await;
        }
    };
    assert!(timeout(limit, wait).await.is_ok(), "not within {limit:?}: {what}");
}

/// Waits until no reply of this conversation is being written any more.
pub(crate) async fn settled(client: &Client, conversation: &str) -> Vec<Value> {
    let mut ticks = interval(Duration::from_millis(100));
    let wait = async {
        loop {
            ticks.tick().await;
            let messages = messages(client, conversation).await;
            if messages.iter().all(|message| message["status"] != "streaming") {
                return messages;
            }
        }
    };
    timeout(SETTLED_WITHIN, wait).await.expect("a reply is still being written")
}
