//! Every secret that a test's clients send or get, none of which may ever stand in a server's log.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

/// The fields of bodies that hold secrets.
const FIELDS: [&str; 12] = [
    "access_token",
    "api_key",
    "client_secret",
    "current_password",
    "new_password",
    "password",
    "refresh_token",
    "reset_token",
    "secret",
    "ticket",
    "token",
    "verification_token",
];
/// Parts of the names of variables that do.
const VARIABLES: [&str; 4] = ["SECRET", "PASSWORD", "API_KEY", "TOKEN"];
/// What is shorter may be anybody's word.
const SHORTEST: usize = 8;

/// By value, with the name of what it was seen in first. Of the whole process: a secret of one server
/// is none of another's business either.
static SEEN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

pub(super) fn note(name: &str, value: &str) {
    if value.len() >= SHORTEST {
        seen().entry(value.to_owned()).or_insert_with(|| name.to_owned());
    }
}

/// The secrets of a body, wherever in it they are.
pub(super) fn note_body(body: &[u8]) {
    let Ok(body) = serde_json::from_slice(body) else { return };
    note_value(&body);
}

fn note_value(value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if FIELDS.contains(&&**name) => note(name, text),
                    value => note_value(value),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(note_value),
        _ => {}
    }
}

/// The secrets of a server's environment, also those within URLs.
pub(super) fn note_variable(name: &str, value: &str) {
    if VARIABLES.iter().any(|part| name.contains(part)) {
        note(name, value);
    }
    let authority = value.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    if let Some((_, password)) = authority.and_then(|(user, _)| user.split_once(':')) {
        note(name, password);
    }
}

/// # Panics
/// Where a line has a secret in it. The message names the secret, and shows the line without it.
pub(super) fn refuse_in(log: &[String]) {
    let found = seen().iter().find_map(|(secret, name)| {
        let line = log.iter().find(|line| line.contains(secret))?;
        Some(format!("{name}: {}", line.replace(secret, "[…]")))
    });
    if let Some(found) = found {
        panic!("a secret is in the log of the server: {found}");
    }
}

fn seen() -> MutexGuard<'static, BTreeMap<String, String>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn what_was_sent_is_found_wherever_it_stands() {
        note_body(br#"{"user": {"a": [{"password": "opensesame-1"}]}, "name": "innocent-1"}"#);
        note_variable("DATABASE_URL", "postgres://app:opensesame-2@db/chat");
        note_variable("JWT_SECRET", "opensesame-3");
        refuse_in(&["innocent-1, postgres://app@db/chat".to_owned()]);
        for n in 1..=3 {
            let log = ["before".to_owned(), format!("it is <opensesame-{n}>")];
            let refused = catch_unwind(|| refuse_in(&log)).unwrap_err();
            let message = refused.downcast::<String>().unwrap();
            assert!(message.ends_with("it is <[…]>") && !message.contains("opensesame"));
        }
    }
}
