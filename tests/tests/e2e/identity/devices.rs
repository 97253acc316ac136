//! The devices that somebody is signed in with.

use repartee_tests::server::{Closed, Server, Setup};
use serde_json::Value;

use crate::support::{
    WITHIN_A_SECOND, list, log_in, on_both_databases, on_replicas, register, socket, somebody, text,
};

on_both_databases!(devices_are_listed_and_signed_out_one_by_one);
on_replicas!(a_device_is_signed_out_on_every_replica);

const SESSIONS: &str = "/api/v1/auth/sessions";

/// The ids of somebody's devices, the one that asks first.
async fn devices(client: &repartee_tests::server::Client) -> Vec<String> {
    let page = client.get(SESSIONS).await.expect(200);
    let mut devices: Vec<&Value> = list(&page["data"]).iter().collect();
    devices.sort_by_key(|device| device["is_current"] != true);
    assert_eq!(devices.iter().filter(|device| device["is_current"] == true).count(), 1);
    devices.iter().map(|device| text(&device["id"]).to_owned()).collect()
}

async fn assert_signs_out(server: &Server, at: &Server) {
    let phone = register(server, "ada").await;
    let phone = server.client().with_token(text(&phone["access_token"]));
    let laptop = log_in(server, "ada").await;
    let laptop = server.client().with_token(text(&laptop["access_token"]));
    let mut open = socket(&laptop).await;
    let elsewhere = at.client().with_token(phone.token.as_deref().unwrap());
    let ids = devices(&elsewhere).await;
    assert_eq!(ids.len(), 2);

    elsewhere.delete(&format!("{SESSIONS}/{}", ids[1])).await.expect(204);

    assert_eq!(open.closed(WITHIN_A_SECOND).await, Closed::With(4401));
    laptop.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    elsewhere.delete(&format!("{SESSIONS}/{}", ids[1])).await.problem(404, "session_not_found");
    assert_eq!(devices(&elsewhere).await, ids[..1]);
}

async fn devices_are_listed_and_signed_out_one_by_one(setup: Setup) {
    let server = setup.start().await;
    assert_signs_out(&server, &server).await;

    let grace = somebody(&server, "grace").await;
    let other = devices(&grace).await;
    let ada = log_in(&server, "ada").await;
    let ada = server.client().with_token(text(&ada["access_token"]));
    for nobodys in [&*other[0], "01939c2e-7b9a-7000-8000-000000000000", "nonsense"] {
        ada.delete(&format!("{SESSIONS}/{nobodys}")).await.problem(404, "session_not_found");
    }
    let first = ada.get(&format!("{SESSIONS}?limit=1")).await.expect(200);
    assert_eq!(first["data"][0]["is_current"], true, "the newest comes first: {first}");
    assert_eq!(first["data"][0]["ip"], "127.0.0.1");
    let cursor = text(&first["next_cursor"]);
    let second = ada.get(&format!("{SESSIONS}?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((list(&second["data"]).len(), &second["next_cursor"]), (1, &Value::Null));

    ada.delete(&format!("{SESSIONS}/{}", text(&first["data"][0]["id"]))).await.expect(204);
    ada.get(SESSIONS).await.problem(401, "unauthenticated");
    grace.get("/api/v1/users/me").await.expect(200);
}

async fn a_device_is_signed_out_on_every_replica(setup: Setup) {
    let [here, there] = setup.replicas().await;
    assert_signs_out(&here, &there).await;
}
