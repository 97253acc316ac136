//! Who may do what: every operation of the OpenAPI document, asked by everybody there is.
//!
//! An operation without a row fails, as does a row without an operation.

mod callers;
mod rows;

use std::collections::BTreeSet;

use repartee_tests::server::{Client, Engine, Setup};
use reqwest::RequestBuilder;

use self::{
    callers::{Caller, People},
    rows::{Access, Body, ROWS, Row},
};
use super::operations::{Operation, operations};
use crate::support::form;

/// What comes of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Allowed,
    Refused(u16),
}

const UNAUTHENTICATED: Expected = Expected::Refused(401);
const FORBIDDEN: Expected = Expected::Refused(403);
const NOT_FOUND: Expected = Expected::Refused(404);

impl Access {
    fn expected(self, caller: Caller) -> Expected {
        use Caller::*;
        use Expected::Allowed;

        match (self, caller) {
            (Self::Anybody, _) => Allowed,
            (Self::Guests, Nobody | Guest) => Allowed,
            (_, Nobody | Guest | Expired | Revoked) => UNAUTHENTICATED,
            // A key opens what its scopes say, and never an account.
            (Self::Profile | Self::OwnProfile | Self::Clients, Unscoped) => Allowed,
            (_, Unscoped) => FORBIDDEN,
            (Self::Owner | Self::OwnProfile, Stranger) => NOT_FOUND,
            (Self::Himself, Stranger) => FORBIDDEN,
            (Self::Managers, Manager | Admin) => Allowed,
            (Self::Managers, _) => FORBIDDEN,
            (Self::Admins | Self::AdminsOnly, Admin) => Allowed,
            (Self::AdminsOnly, Stranger | Manager) => NOT_FOUND,
            (Self::Admins | Self::AdminsOnly, _) => FORBIDDEN,
            _ => Allowed,
        }
    }
}

fn request(client: &Client, operation: &Operation, row: &Row, path: &str) -> RequestBuilder {
    let request = client.request(operation.method.clone(), path);
    match row.body {
        Body::None => request,
        Body::Json(body) => request.json(&body()),
        Body::File => request
            .header("content-type", "multipart/form-data; boundary=x")
            .body(form("tea", b"Hm.")),
        Body::Form(body) => request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.to_owned()),
    }
}

#[tokio::test]
async fn everybody_may_what_they_may_and_nothing_else() {
    let server = People::setup(Setup::on(Engine::Sqlite)).start().await;
    let people = People::meet(&server).await;
    let operations = operations(&server.client()).await;
    let named = |operation: &Operation| format!("{} {}", operation.method, operation.path);
    let documented: BTreeSet<String> = operations.iter().map(named).collect();
    let listed: BTreeSet<String> = ROWS.iter().map(|row| row.operation.to_owned()).collect();
    assert_eq!(listed.len(), ROWS.len(), "a row is there twice");
    let without_row: Vec<_> = documented.difference(&listed).collect();
    let without_operation: Vec<_> = listed.difference(&documented).collect();
    assert!(without_row.is_empty(), "who may call {without_row:?}?");
    assert!(without_operation.is_empty(), "there is no {without_operation:?}");

    let mut wrong = Vec::new();
    let mut asked = 0;
    for operation in &operations {
        let name = named(operation);
        let row = ROWS.iter().find(|row| row.operation == name).expect("a row");
        for caller in Caller::ALL {
            let expected = row.access.expected(caller);
            let (client, path) = people.call(caller, row, &operation.path, expected).await;
            let status = status_of(request(&client, operation, row, &path)).await;
            let is_right = match expected {
                Expected::Allowed => status == row.answers,
                Expected::Refused(refused) => status == refused,
            };
            asked += 1;
            if !is_right {
                wrong.push(format!("{name} by {caller:?}: {status}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Of a stream, without waiting for its end.
async fn status_of(request: RequestBuilder) -> u16 {
    request.send().await.map_or(0, |response| response.status().as_u16())
}
