//! The commands besides `serve`.

use repartee_tests::server::{Engine, Setup, Site};
use serde_json::Value;

use crate::support::{on_both_databases, somebody};

on_both_databases!(migrations_go_up_and_down, migrating_down_and_up_leaves_a_working_server);

async fn migrate(site: &Site, direction: &str) -> Vec<String> {
    let output = site.run(&["migrate", direction]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "migrate {direction}: {stderr}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn count(lines: &[String], state: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(state)).count()
}

async fn migrations_go_up_and_down(setup: Setup) {
    let site = setup.site().await;
    let before = migrate(&site, "status").await;
    assert!(!before.is_empty());
    assert_eq!(count(&before, "pending "), before.len(), "{before:?}");
    for _ in 0..2 {
        let up = migrate(&site, "up").await;
        assert_eq!(count(&up, "applied "), before.len(), "{up:?}");
    }
    for applied in (0..before.len()).rev() {
        let down = migrate(&site, "down").await;
        assert_eq!(count(&down, "applied "), applied, "{down:?}");
    }
    assert_eq!(migrate(&site, "status").await, before);
}

async fn migrating_down_and_up_leaves_a_working_server(setup: Setup) {
    let site = setup.site().await;
    migrate(&site, "up").await;
    migrate(&site, "down").await;
    let server = repartee_tests::server::Server::start(site).await;
    let ada = somebody(&server, "ada").await;
    ada.get("/api/v1/users/me").await.expect(200);
}

#[tokio::test]
async fn the_document_is_printed_as_it_is_served() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let served = server.client().get("/openapi.json").await.expect(200);
    let output = server.site.run(&["openapi"]).await;
    assert_eq!(output.status.code(), Some(0));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, served);
}

#[tokio::test]
async fn the_command_line_explains_itself() {
    let site = Setup::on(Engine::Sqlite).site().await;
    for (arguments, code) in
        [(&["--version"][..], 0), (&["--help"], 0), (&["sing"], 2), (&["migrate", "sideways"], 2)]
    {
        let output = site.run(arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
    let version = site.run(&["--version"]).await;
    let number = env!("CARGO_PKG_VERSION");
    assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("repartee {number}\n"));
}
