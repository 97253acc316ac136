//! A server that speaks S3 and checks signatures, with one bucket in a folder.

use std::{io, net::Ipv4Addr, path::Path};

use anyhow::Result;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tokio::{net::TcpListener, task::JoinSet};

pub const BUCKET: &str = "uploads";
pub const ACCESS_KEY_ID: &str = "a-test";
pub const SECRET_ACCESS_KEY: &str = "the secret access key of a test";

/// Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct S3Server {
    endpoint: String,
    _accepting: JoinSet<()>,
}

impl S3Server {
    pub async fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder.join(BUCKET))?;
        let store =
            FileSystem::new(folder).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(store);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, service.build()));
        Ok(Self { endpoint, _accepting: accepting })
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

async fn accept(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        connections.spawn(async move {
            let served = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            // A client that goes away is its own business.
            let _ = served.await;
        });
        while connections.try_join_next().is_some() {}
    }
}
