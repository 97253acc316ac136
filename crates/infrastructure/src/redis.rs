//! Redis: what the replicas of a server share beside the database.

mod bell;
mod generation_log;
mod outage;
mod rate_limiter;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    io::tcp::TcpSettings,
};
use repartee_application::ports::CacheProbe;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

pub use self::{
    bell::RedisBell,
    generation_log::{QueueLimits, RedisGenerationLog},
    rate_limiter::RedisRateLimiter,
};
use crate::{generation_log::lock, within::within};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For an answer; a connection that hangs is as good as none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// What was sent and is not acknowledged for so long ends the connection.
const SILENT_PEER: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Everything that this server keeps in Redis begins with this.
const PREFIX: &str = "repartee:";

/// A Redis server, and the connection to it that short commands share. It may vanish and come
/// back: whoever needs it tries again, and the log is told once.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    shared: Arc<Mutex<ConnectionManager>>,
    /// Host and port.
    address: Arc<str>,
}

/// Why there is no connection. Never says the password.
#[derive(Debug, Error)]
pub enum RedisError {
    #[error("redis.url is not one that can be connected to")]
    Url(#[source] redis::RedisError),
    #[error("Redis cannot be reached at {address}")]
    Unreachable { address: String, source: redis::RedisError },
}

impl Redis {
    /// Connects, once: whether Redis is there at the start is somebody's to know.
    pub async fn connect(url: &SecretString) -> Result<Self, RedisError> {
        let info = url.expose_secret().trim().into_connection_info().map_err(RedisError::Url)?;
        let address = info.addr().to_string();
        // Read as RESP2, whatever a parameter of the URL says.
        let protocol = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(SILENT_PEER);
        let info = info.set_redis_settings(protocol).set_tcp_settings(tcp);
        let client = Client::open(info).map_err(RedisError::Url)?;
        let shared = connected(&client)
            .await
            .map_err(|source| RedisError::Unreachable { address: address.clone(), source })?;
        Ok(Self { client, shared: Arc::new(Mutex::new(shared)), address: address.into() })
    }

    fn unreachable(&self, source: redis::RedisError) -> RedisError {
        RedisError::Unreachable { address: self.address.to_string(), source }
    }

    /// The connection that short commands share.
    fn shared(&self) -> ConnectionManager {
        lock(&self.shared).clone()
    }

    /// Leaves the server that the shared connection is to for the one that is at the address now.
    async fn renew(&self) -> RedisResult<()> {
        let shared = connected(&self.client).await?;
        *lock(&self.shared) = shared;
        Ok(())
    }

    /// Asks on the shared connection. What is asked first after an outage only learns of it, and
    /// makes the connection come back: so it is asked again.
    async fn asked<T, F>(&self, ask: impl Fn(ConnectionManager) -> F) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        match ask(self.shared()).await {
            Err(error) if error.is_io_error() => ask(self.shared()).await,
            answer => answer,
        }
    }

    /// A connection of one's own, on which commands may wait for so long.
    async fn own(&self, answer_within: Duration) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(answer_within));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }
}

async fn connected(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT))
        // Who needs it waits as long as it suits them.
        .set_number_of_retries(0);
    client.get_connection_manager_with_config(config).await
}

/// Whether the server became a replica. It may go on to answer, and a connection to it does not
/// break: only a new one gets to the server that took its place.
fn is_replica(error: &redis::RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "MASTERDOWN"))
}

#[async_trait]
impl CacheProbe for Redis {
    async fn is_reachable(&self) -> bool {
        let ping = |mut connection| async move {
            redis::cmd("PING").query_async::<()>(&mut connection).await
        };
        matches!(within(PROBE_TIMEOUT, self.asked(ping)).await, Ok(Ok(())))
    }
}
