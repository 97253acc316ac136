//! Deleting somebody with everything that is theirs.

use repartee_tests::server::{Closed, Setup};
use serde_json::json;

use crate::support::{
    PASSWORD, WITHIN_A_SECOND, address, begin, conversation, id_of_user, on_both_databases, socket,
    somebody, with_root,
};

on_both_databases!(whoever_is_deleted_leaves_nothing_that_runs);

async fn whoever_is_deleted_leaves_nothing_that_runs(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let ada = somebody(&server, "ada").await;
    let path = format!("/api/v1/users/{}", id_of_user(&ada).await);
    let conversation = conversation(&ada).await;
    let mut open = socket(&ada).await;
    // A reply that would take a minute.
    let _events = begin(&ada, &conversation, "mock-600-100").await;

    root.delete(&path).await.expect(204);

    assert_eq!(open.closed(WITHIN_A_SECOND).await, Closed::With(4401));
    ada.get(&conversation).await.problem(401, "unauthenticated");
    root.get(&path).await.problem(404, "user_not_found");
    root.delete(&path).await.problem(404, "user_not_found");
    let body = json!({"email": address("ada"), "password": PASSWORD});
    server.client().post("/api/v1/auth/login", &body).await.problem(401, "wrong_credentials");
    // The address and the name are free again.
    somebody(&server, "ada").await;
}
