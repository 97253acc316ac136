//! What is taken, how it is called, and how it is given back.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use repartee_tests::server::{Answer, Setup};
use reqwest::Body;

use super::{is_whole, kept};
use crate::{
    projects::project,
    support::{
        WITHIN_A_SECOND, eventually, form, form_request, on_both_databases, somebody, text, upload,
    },
};

on_both_databases!(
    a_name_is_no_path,
    what_a_browser_could_run_is_only_saved,
    what_is_too_large_is_refused_while_it_arrives,
    what_is_no_file_is_refused,
    what_came_late_or_not_whole_leaves_nothing,
);

async fn a_name_is_no_path(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let files = format!("{}/files", project(&ada).await);
    let long = format!("{}.txt", "x".repeat(400));
    let cut = format!("{}.txt", "x".repeat(251));
    for (sent, shown) in [
        ("../../../etc/passwd", "passwd"),
        ("..\\\\..\\\\boot.ini", "boot.ini"),
        ("/etc/cron.d/evil", "evil"),
        ("..", "file"),
        ("", "file"),
        ("ชาเขียว 🍵.md", "ชาเขียว 🍵.md"),
        (&long, &cut),
    ] {
        let uploaded = upload(&ada, &files, sent, b"Tea").await;
        assert_eq!(uploaded.expect(201)["name"], shown, "{sent}");
        let content = format!("{}/content", uploaded.header("location"));
        let answer = ada.get(&content).await;
        let disposition = answer.header("content-disposition");
        assert!(disposition.starts_with("attachment; filename="), "{disposition}");
        assert!(disposition.is_ascii());
    }
    // Each is kept under a key of ours.
    assert_eq!(kept(&server).len(), 7);
    for name in kept(&server) {
        assert!(is_whole(&name), "{name}");
    }
}

async fn what_a_browser_could_run_is_only_saved(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let files = format!("{}/files", project(&ada).await);
    for (name, bytes, content_type) in [
        ("tea.png", "<!DOCTYPE html><script>alert(1)</script>", "text/html"),
        ("tea.svg", "<?xml version=\"1.0\"?><svg onload=\"alert(1)\"/>", "text/xml"),
        ("tea.html", "only text", "text/plain"),
    ] {
        let uploaded = upload(&ada, &files, name, bytes.as_bytes()).await;
        assert_eq!(uploaded.expect(201)["content_type"], content_type);
        let content = format!("{}/content", uploaded.header("location"));
        let answer = ada.get(&content).await;
        assert_eq!(answer.text(), bytes);
        assert!(answer.header("content-type").starts_with(content_type));
        assert!(answer.header("content-disposition").starts_with("attachment;"));
        assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let tag = answer.header("etag").to_owned();
        assert_eq!(tag, format!("\"{}\"", text(&uploaded.json()["sha256"])));
        let again = ada.request(reqwest::Method::GET, &content).header("If-None-Match", tag);
        let again = Answer::to(again).await;
        assert_eq!((again.status, again.bytes.len()), (304, 0));
    }
}

async fn what_is_too_large_is_refused_while_it_arrives(setup: Setup) {
    let server = setup.with("REPARTEE__HTTP__UPLOAD_LIMIT_BYTES", "100000").start().await;
    let ada = somebody(&server, "ada").await;
    let files = format!("{}/files", project(&ada).await);
    upload(&ada, &files, "just", &vec![b'x'; 100_000]).await.expect(201);

    upload(&ada, &files, "more", &vec![b'x'; 100_001]).await.problem(413, "body_too_large");
    // By its length alone, and where none is said.
    upload(&ada, &files, "more", &vec![b'x'; 900_000]).await.problem(413, "body_too_large");
    let head = form("more", b"");
    let head = Bytes::from(head[..head.len() - 9].to_vec());
    let piece = Bytes::from(vec![b'x'; 10_000]);
    let pieces = stream::iter([head]).chain(stream::repeat(piece).take(90));
    let chunked = Body::wrap_stream(pieces.map(Ok::<_, std::io::Error>));
    let refused = Answer::to(form_request(&ada, &files).body(chunked)).await;
    refused.problem(413, "body_too_large");
    // Around the file there is no endless room either.
    let fields = "--x\r\nContent-Disposition: form-data; name=\"y\"\r\n\r\nyyyy\r\n".repeat(5_000);
    let padded = [fields.as_bytes(), &form("tea", b"Tea")].concat();
    Answer::to(form_request(&ada, &files).body(padded)).await.problem(413, "body_too_large");

    assert_eq!(kept(&server).len(), 1, "what was refused leaves nothing");
}

async fn what_is_no_file_is_refused(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let files = format!("{}/files", project(&ada).await);
    let field = |name: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nTea\r\n--x--\r\n")
    };
    let two = [&form("a", b"Tea")[..form("a", b"Tea").len() - 7], &form("b", b"Tea")].concat();
    for (body, status, code) in [
        (form("empty", b""), 422, "invalid_fields"),
        (two, 422, "invalid_fields"),
        (field("data").into_bytes(), 422, "invalid_fields"),
        (b"--x--\r\n".to_vec(), 422, "invalid_fields"),
        (b"".to_vec(), 400, "body_incomplete"),
        (b"--x\r\nno header\r\n\r\nTea\r\n--x--\r\n".to_vec(), 400, "malformed_form"),
    ] {
        let what = String::from_utf8_lossy(&body).into_owned();
        let answer = Answer::to(form_request(&ada, &files).body(body)).await;
        let problem = answer.problem(status, code);
        if status == 422 {
            assert_eq!(problem["errors"][0]["field"], "file", "{what}");
        }
    }
    let json = ada.post(&files, &serde_json::json!({"file": "Tea"})).await;
    json.problem(415, "unsupported_media_type");
    assert_eq!(ada.get(&files).await.expect(200)["data"], serde_json::json!([]));
}

async fn what_came_late_or_not_whole_leaves_nothing(setup: Setup) {
    let server = setup.with("REPARTEE__HTTP__UPLOAD_TIMEOUT_SECONDS", "1").start().await;
    let ada = somebody(&server, "ada").await;
    let files = format!("{}/files", project(&ada).await);
    let begun = form("tea", b"Tea, and more");
    let begun = Bytes::from(begun[..begun.len() - 12].to_vec());

    let slow = stream::iter([begun.clone()]).chain(stream::pending());
    let slow = Body::wrap_stream(slow.map(Ok::<_, std::io::Error>));
    let late = form_request(&ada, &files).body(slow);
    Answer::to(late).await.problem(408, "body_timeout");
    let whole = form_request(&ada, &files).body(begun.clone());
    Answer::to(whole).await.problem(400, "body_incomplete");
    // A client that goes away.
    let gone = stream::iter([begun]).chain(stream::pending());
    let gone = Body::wrap_stream(gone.map(Ok::<_, std::io::Error>));
    let gone = form_request(&ada, &files).body(gone).timeout(Duration::from_millis(300));
    assert!(gone.send().await.is_err());

    eventually("nothing half written stays", WITHIN_A_SECOND, async || {
        let kept = kept(&server);
        kept.len() <= 1 && !kept.iter().any(|name| is_whole(name))
    })
    .await;
    assert_eq!(ada.get(&files).await.expect(200)["data"], serde_json::json!([]));
}
