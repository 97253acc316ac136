//! The page and the documentation, with no network but the server itself.

use repartee_tests::server::{Client, Engine, Setup};

/// What a page loads: each `src`, and each `href` of a `link`.
fn loaded(html: &str) -> Vec<String> {
    let mut addresses = Vec::new();
    for tag in html.split('<').filter_map(|rest| rest.split('>').next()) {
        let attribute = if tag.starts_with("link") { "href=\"" } else { "src=\"" };
        if let Some((_, value)) = tag.split_once(attribute) {
            addresses.push(value.split('"').next().unwrap_or_default().to_owned());
        }
    }
    addresses
}

async fn assert_self_contained(client: &Client, path: &str) {
    let page = client.get(path).await;
    page.expect(200);
    assert!(page.header("content-type").starts_with("text/html"), "{path}");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    assert!(!policy.contains("http") && !policy.contains('*'), "{path}: {policy}");
    assert!(!policy.contains("script-src 'self' '"), "{path}: {policy}");
    let html = page.text();
    assert!(!html.contains("<script>") && !html.contains(" onclick="), "{path} has inline script");
    let addresses = loaded(&html);
    assert!(!addresses.is_empty(), "{path}");
    for address in addresses {
        assert!(address.starts_with('/') && !address.starts_with("//"), "{path}: {address}");
        let file = client.get(&address).await;
        file.expect(200);
        assert!(!file.bytes.is_empty(), "{address}");
        assert_eq!(file.header("x-content-type-options"), "nosniff", "{address}");
        let expected = match address.rsplit_once('.').unwrap().1 {
            "js" => "javascript",
            "css" => "text/css",
            _ => "image/",
        };
        assert!(file.header("content-type").contains(expected), "{address}");
        for elsewhere in ["@import url(http", "importScripts(\"http", "src:url(http"] {
            assert!(!file.text().contains(elsewhere), "{address}: {elsewhere}");
        }
    }
}

#[tokio::test]
async fn every_page_works_without_a_network() {
    let server = Setup::on(Engine::Sqlite).start().await;
    for path in ["/", "/docs", "/redoc"] {
        assert_self_contained(&server.client(), path).await;
    }
    server.client().get("/favicon.ico").await.expect(200);
}

#[tokio::test]
async fn there_is_no_way_out_of_the_folders() {
    let server = Setup::on(Engine::Sqlite).start().await;
    for path in [
        "/assets/nothing.js",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e%2fconfig",
        "/docs/nothing",
        "/docs/..%2fopenapi.json",
        "/redoc/nothing",
    ] {
        server.client().get(path).await.problem(404, "route_not_found");
    }
}

#[tokio::test]
async fn health_says_what_there_is() {
    let server = Setup::on(Engine::Sqlite).start().await;
    for path in ["/health", "/api/health", "/api/v1/health"] {
        let health = server.client().get(path).await.expect(200);
        assert_eq!(health["status"], "healthy");
        assert_eq!(health["database"], "connected");
        assert_eq!(health["cache"], "embedded");
        assert_eq!(health["model"], "ready");
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
        assert!(health["uptime_s"].as_i64() >= Some(0));
    }
    assert_eq!(server.client().get("/health/live").await.expect(200)["status"], "live");
    assert_eq!(server.client().get("/health/ready").await.expect(200)["status"], "ready");
}
