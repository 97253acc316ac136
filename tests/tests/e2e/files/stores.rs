//! Where the bytes are: nothing is left behind, and a store that keeps nothing is told.

use bytes::Bytes;
use futures::{StreamExt, channel::mpsc};
use repartee_tests::{
    s3::{ACCESS_KEY_ID, BUCKET, S3Server, SECRET_ACCESS_KEY},
    server::{Engine, Server, Setup},
};
use reqwest::Body;
use serde_json::json;
use tokio::task::JoinSet;

use super::{is_whole, kept};
use crate::{
    projects::project,
    support::{
        WITHIN_A_SECOND, eventually, form, form_request, on_both_databases, somebody, upload,
    },
};

on_both_databases!(
    whatever_is_deleted_its_bytes_go_too,
    a_crash_between_the_bytes_and_the_file_leaves_nothing,
);

/// The first thing that a process does is to tidy up.
async fn swept(server: &mut Server, left: usize) {
    server.restart().await;
    let server = &*server;
    eventually("the objects are gone", WITHIN_A_SECOND, async || kept(server).len() == left).await;
}

async fn whatever_is_deleted_its_bytes_go_too(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (first, second) = (project(&ada).await, project(&ada).await);
    let file = upload(&ada, &format!("{first}/files"), "a", b"Tea").await;
    upload(&ada, &format!("{first}/files"), "b", b"Tea").await.expect(201);
    let stays = upload(&ada, &format!("{second}/files"), "c", b"Tea").await;
    assert_eq!(kept(&server).len(), 3);

    ada.delete(file.header("location")).await.expect(204);
    swept(&mut server, 2).await;
    let ada = server.client().with_token(ada.token.as_deref().unwrap());
    ada.delete(&first).await.expect(204);
    swept(&mut server, 1).await;

    let ada = server.client().with_token(ada.token.as_deref().unwrap());
    let content = format!("{}/content", stays.header("location"));
    assert_eq!(ada.get(&content).await.text(), "Tea");
}

/// A process dies while it takes a file, and another when all of the bytes are kept and the file is
/// not stored yet: the lock on the database holds it there.
async fn a_crash_between_the_bytes_and_the_file_leaves_nothing(setup: Setup) {
    let lock = match setup.engine() {
        Engine::Sqlite => "BEGIN IMMEDIATE",
        Engine::Postgres => "BEGIN; LOCK TABLE files IN ACCESS EXCLUSIVE MODE",
    };
    let mut server = setup.start().await;
    let token = somebody(&server, "ada").await.token.unwrap();
    let files = format!("{}/files", project(&server.client().with_token(&token)).await);

    for all_came in [false, true] {
        let ada = server.client().with_token(&token);
        let (pieces, body) = mpsc::unbounded::<Bytes>();
        let body = Body::wrap_stream(body.map(Ok::<_, std::io::Error>));
        let mut sent = JoinSet::from_iter([form_request(&ada, &files).body(body).send()]);
        let form = form("tea", b"Tea, and more");
        let (begun, rest) = form.split_at(form.len() - 12);
        pieces.unbounded_send(begun.to_vec().into()).unwrap();
        let is_begun = async || kept(&server).iter().any(|name| !is_whole(name));
        eventually("the bytes arrive", WITHIN_A_SECOND, is_begun).await;
        let held = if all_came {
            let held = server.site.sql(lock).await;
            pieces.unbounded_send(rest.to_vec().into()).unwrap();
            pieces.close_channel();
            let is_kept = async || kept(&server).iter().any(|name| is_whole(name));
            eventually("the bytes are kept", WITHIN_A_SECOND, is_kept).await;
            Some(held)
        } else {
            None
        };
        server.kill().await;
        drop(held);
        assert!(sent.join_next().await.unwrap().unwrap().is_err());
        assert_eq!(kept(&server).len(), 1, "it is there, and belongs to nothing");
        // An hour later.
        server.site.sql("UPDATE doomed_objects SET due_at = '1970-01-01T00:00:00+00:00'").await;
        swept(&mut server, 0).await;
        let ada = server.client().with_token(&token);
        assert_eq!(ada.get(&files).await.expect(200)["data"], json!([]));
    }
    let ada = server.client().with_token(&token);
    upload(&ada, &files, "tea", b"Tea").await.expect(201);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_stops_the_start() {
    let site = Setup::on(Engine::Sqlite).site().await;
    std::fs::write(site.directory().join("files"), "no folder").unwrap();
    let output = site.run(&["serve"]).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("files.store"), "{told}");
}

#[tokio::test]
async fn files_are_kept_in_a_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3Server::start(folder.path()).await.unwrap();
    let in_the_bucket = || std::fs::read_dir(folder.path().join(BUCKET).join("files")).unwrap();
    let setup = |secret: &str| {
        Setup::on(Engine::Sqlite)
            .with("REPARTEE__FILES__STORE", "s3")
            .with("S3_BUCKET", BUCKET)
            .with("S3_ENDPOINT", s3.endpoint())
            .with("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .with("AWS_SECRET_ACCESS_KEY", secret)
    };
    let mut server = setup(SECRET_ACCESS_KEY).start().await;
    let ada = somebody(&server, "ada").await;
    let files = format!("{}/files", project(&ada).await);
    let large = "Tea ".repeat(100_000);

    let uploaded = upload(&ada, &files, "tea.txt", large.as_bytes()).await;
    uploaded.expect(201);

    let one = uploaded.header("location").to_owned();
    assert_eq!(in_the_bucket().count(), 1);
    assert!(!server.site.directory().join("files").exists(), "nothing is kept here");
    assert!(ada.get(&format!("{one}/content")).await.text() == large);
    ada.delete(&one).await.expect(204);
    server.restart().await;
    eventually("it is gone", WITHIN_A_SECOND, async || in_the_bucket().count() == 0).await;

    let wrong = setup("a secret of somebody else").site().await;
    let output = wrong.run(&["serve"]).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("403") && told.contains("SignatureDoesNotMatch"), "{told}");
}
