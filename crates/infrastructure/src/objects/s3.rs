//! Objects in a bucket of Amazon's S3, or of whatever speaks like it: Ceph, Garage, R2 …
//!
//! Requests are signed in their URLs; the bytes are not (`UNSIGNED-PAYLOAD`), for TLS guards
//! them on their way. So a URL is a secret for as long as it is good: no error holds one.

use std::{io::SeekFrom, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use repartee_application::ports::{ByteStream, ObjectStore, PortError, Source};
use repartee_domain::ObjectKey;
use reqwest::{Body, Client, Response, StatusCode, header::CONTENT_LENGTH, redirect::Policy};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::{
    fs::File,
    io::{AsyncSeekExt, AsyncWriteExt},
    task::spawn_blocking,
};
use tokio_util::io::ReaderStream;

/// What else the bucket holds is somebody else's.
const FOLDER: &str = "files/";
const PIECE: usize = 64 * 1024;
/// How long a signature is good: for a request to arrive.
const SIGNED_FOR: Duration = Duration::from_mins(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Without a byte from there.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// For all bytes of an object to arrive there. With the time that an upload may take it is less than
/// its object is reserved for.
const PUT_TIMEOUT: Duration = Duration::from_mins(15);

#[derive(Debug, Clone)]
pub struct S3Settings {
    pub bucket: String,
    /// `None` for Amazon's of the region.
    pub endpoint: Option<String>,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    /// Of a temporary key.
    pub session_token: Option<SecretString>,
}

/// Why there can be no client. Holds no secret.
#[derive(Debug, Error)]
pub enum InvalidS3Settings {
    #[error("the endpoint and the bucket make no address: {0}")]
    Address(String),
    #[error("no TLS client can be set up")]
    Tls(#[source] reqwest::Error),
}

#[derive(Debug, Error)]
#[error("the object store answers {status}: {code}")]
struct Refused {
    status: StatusCode,
    /// What S3 calls it, like `AccessDenied`.
    code: String,
}

pub struct S3ObjectStore {
    client: Client,
    /// Without a time to answer in, which would begin before the bytes are sent.
    sender: Client,
    bucket: Bucket,
    credentials: Credentials,
}

impl S3ObjectStore {
    /// Connects to nobody yet.
    pub fn new(settings: S3Settings) -> Result<Self, InvalidS3Settings> {
        let S3Settings { bucket, endpoint, region, access_key_id, secret_access_key, .. } =
            settings;
        // Amazon asks for the one; most others know the other alone.
        let (endpoint, style) = match endpoint {
            Some(endpoint) => (endpoint, UrlStyle::Path),
            None => (format!("https://s3.{region}.amazonaws.com"), UrlStyle::VirtualHost),
        };
        let address = |error: &dyn ToString| InvalidS3Settings::Address(error.to_string());
        let endpoint = endpoint.parse().map_err(|error| address(&error))?;
        let bucket =
            Bucket::new(endpoint, style, bucket, region).map_err(|error| address(&error))?;
        let secret = secret_access_key.expose_secret();
        let credentials = match settings.session_token {
            Some(token) => {
                Credentials::new_with_token(access_key_id, secret, token.expose_secret())
            }
            None => Credentials::new(access_key_id, secret),
        };
        // A signature is for one address; and nobody is to send us elsewhere.
        let builder =
            || Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(Policy::none());
        let client = builder().read_timeout(IDLE_TIMEOUT).build();
        let client = client.map_err(InvalidS3Settings::Tls)?;
        let sender = builder().timeout(PUT_TIMEOUT).build().map_err(InvalidS3Settings::Tls)?;
        Ok(Self { client, sender, bucket, credentials })
    }
}

#[async_trait]
impl ObjectStore for S3ObjectStore {
    async fn put<'a>(&self, key: ObjectKey, bytes: ByteStream<'a>) -> Result<(), PortError> {
        let (spool, length) = spooled(bytes).await?;
        let name = name(key);
        let url = self.bucket.put_object(Some(&self.credentials), &name).sign(SIGNED_FOR);
        let body = Body::wrap_stream(ReaderStream::with_capacity(spool, PIECE));
        // What has no length is refused (411).
        let request = self.sender.put(url).header(CONTENT_LENGTH, length).body(body);
        let response = request.send().await.map_err(unreachable)?;
        succeeded(response).await.map(drop)
    }

    async fn get(&self, key: ObjectKey) -> Result<Option<ByteStream<'static>>, PortError> {
        let name = name(key);
        let url = self.bucket.get_object(Some(&self.credentials), &name).sign(SIGNED_FOR);
        let response = self.client.get(url).send().await.map_err(unreachable)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let bytes = succeeded(response).await?.bytes_stream();
        Ok(Some(bytes.map_err(|error| error.without_url().into()).boxed()))
    }

    async fn delete(&self, key: ObjectKey) -> Result<(), PortError> {
        let name = name(key);
        let url = self.bucket.delete_object(Some(&self.credentials), &name).sign(SIGNED_FOR);
        let response = self.client.delete(url).send().await.map_err(unreachable)?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(()),
            _ => succeeded(response).await.map(drop),
        }
    }
}

fn name(key: ObjectKey) -> String {
    format!("{FOLDER}{key}")
}

/// All of the bytes, and how many they are, in a file without a name: it is gone as soon as nobody
/// holds it any more, however the process ends.
async fn spooled(mut bytes: ByteStream<'_>) -> Result<(File, u64), PortError> {
    let file = spawn_blocking(tempfile::tempfile).await.map_err(unavailable)?;
    let mut file = File::from_std(file.map_err(unavailable)?);
    let mut length = 0;
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(PortError::Unavailable)?;
        file.write_all(&piece).await.map_err(unavailable)?;
        length += piece.len() as u64;
    }
    file.flush().await.map_err(unavailable)?;
    file.seek(SeekFrom::Start(0)).await.map_err(unavailable)?;
    Ok((file, length))
}

async fn succeeded(response: Response) -> Result<Response, PortError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let code = code_of(response).await;
    Err(unavailable(Refused { status, code }))
}

/// Out of `<Error><Code>AccessDenied</Code>…`; the rest of it may quote the request.
async fn code_of(response: Response) -> String {
    const LONGEST: usize = 64 * 1024;

    let mut text = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(Ok(piece)) = pieces.next().await {
        text.extend_from_slice(&piece);
        if text.len() > LONGEST {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map(|(code, _)| code).filter(|code| code.len() <= 100);
    code.unwrap_or("without saying why").to_owned()
}

fn unreachable(error: reqwest::Error) -> PortError {
    unavailable(error.without_url())
}

fn unavailable(error: impl Into<Source>) -> PortError {
    PortError::Unavailable(error.into())
}
