//! A bucket of a server that checks signatures.

use std::error::Error;

use repartee_application::ports::{ObjectStore, PortError};
use repartee_infrastructure::objects::{InvalidS3Settings, S3ObjectStore, S3Settings};
use repartee_tests::s3::{ACCESS_KEY_ID, BUCKET, S3Server, SECRET_ACCESS_KEY};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::contract::{KEY, keeps_the_contract, read, tea};

keeps_the_contract!(super::s3::bucket);

struct Site {
    server: S3Server,
    folder: TempDir,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { server: S3Server::start(folder.path()).await.unwrap(), folder }
    }

    fn settings(&self) -> S3Settings {
        settings(self.server.endpoint())
    }
}

fn settings(endpoint: &str) -> S3Settings {
    S3Settings {
        bucket: BUCKET.into(),
        endpoint: Some(endpoint.into()),
        region: "us-east-1".into(),
        access_key_id: ACCESS_KEY_ID.into(),
        secret_access_key: SECRET_ACCESS_KEY.into(),
        session_token: None,
    }
}

async fn bucket() -> (S3ObjectStore, Site) {
    let site = Site::start().await;
    (S3ObjectStore::new(site.settings()).unwrap(), site)
}

/// With everything that caused it.
fn told(error: &PortError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn an_object_has_its_place_in_the_bucket() {
    let (store, site) = bucket().await;
    store.put(KEY, tea()).await.unwrap();
    let file = site.folder.path().join(format!("{BUCKET}/files/{KEY}"));
    assert_eq!(std::fs::read(file).unwrap(), b"Tea");
}

#[tokio::test]
async fn who_signs_with_another_secret_gets_nothing_and_no_error_tells_a_secret() {
    let (good, site) = bucket().await;
    good.put(KEY, tea()).await.unwrap();
    let wrong = S3Settings { secret_access_key: "another".into(), ..site.settings() };
    let wrong = S3ObjectStore::new(wrong).unwrap();

    let refused = [
        wrong.put(KEY, tea()).await.unwrap_err(),
        wrong.get(KEY).await.map(drop).unwrap_err(),
        wrong.delete(KEY).await.unwrap_err(),
    ];

    for refused in refused {
        let told = told(&refused);
        assert!(matches!(refused, PortError::Unavailable(_)), "{told}");
        assert!(told.contains("403") && told.contains("SignatureDoesNotMatch"), "{told}");
        assert!(!told.contains("Signature="), "{told}");
    }
    assert_eq!(read(&good, KEY).await.unwrap(), b"Tea");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_an_address_without_a_server_is_told_without_its_signature()
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://{}", listener.local_addr().unwrap());
    let store = S3ObjectStore::new(settings(&here)).unwrap();
    let answering = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await.unwrap();
        let elsewhere =
            "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        socket.write_all(elsewhere.as_bytes()).await.unwrap();
    };
    let (got, ()) = futures::join!(store.get(KEY), answering);
    assert!(told(&got.map(drop).unwrap_err()).contains("307"));

    drop(listener);
    let nobody = told(&store.delete(KEY).await.unwrap_err());
    assert!(!nobody.contains("X-Amz"), "{nobody}");
}

#[test]
fn what_makes_no_address_is_refused() {
    for endpoint in ["", "s3.example.com", "ftp://s3.example.com"] {
        let refused = S3ObjectStore::new(settings(endpoint)).map(drop).unwrap_err();
        assert!(matches!(refused, InvalidS3Settings::Address(_)), "{endpoint}: {refused}");
    }
}
