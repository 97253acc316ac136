//! Whose address it is that a request comes from.

use repartee_tests::server::{Answer, Client, Engine, Server, Setup};
use reqwest::Method;

use super::PER_HOUR;

const PROXIES: &str = "REPARTEE__HTTP__TRUSTED_PROXIES";

/// Ten requests an hour for an address.
async fn behind(proxies: &str) -> Server {
    Setup::on(Engine::Sqlite).with(PER_HOUR, "1").with(PROXIES, proxies).start().await
}

async fn from(client: &Client, forwarded_for: &str) -> u16 {
    let request = client.request(Method::GET, "/api/v1/users/me");
    Answer::to(request.header("x-forwarded-for", forwarded_for)).await.status
}

async fn use_up(client: &Client, forwarded_for: &str) {
    for _ in 0..10 {
        assert_eq!(from(client, forwarded_for).await, 401);
    }
    assert_eq!(from(client, forwarded_for).await, 429, "{forwarded_for}");
}

#[tokio::test]
async fn each_client_behind_a_trusted_proxy_is_counted_by_its_own_address() {
    let server = behind("127.0.0.0/8, 10.0.0.0/8").await;
    let client = server.client();

    use_up(&client, "198.51.100.1").await;

    assert_eq!(from(&client, "198.51.100.2").await, 401, "somebody else");
    for still_the_same in [
        "198.51.100.1, 10.0.0.7",
        "6.6.6.6, 198.51.100.1",
        "::ffff:198.51.100.1",
        "198.51.100.1:80",
    ] {
        assert_eq!(from(&client, still_the_same).await, 429, "{still_the_same}");
    }
    use_up(&client, "2001:db8:0:1::1").await;
    assert_eq!(from(&client, "2001:db8:0:1:ffff::2").await, 429, "the same subscriber");
    assert_eq!(from(&client, "2001:db8:0:2::1").await, 401);
}

#[tokio::test]
async fn without_a_trusted_proxy_the_header_is_nobodys_word() {
    let server = behind("").await;
    let client = server.client();

    use_up(&client, "198.51.100.1").await;

    assert_eq!(from(&client, "198.51.100.2").await, 429);
}
