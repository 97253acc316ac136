//! A file of users: JSON lines, as another system may write them.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use repartee_application::{accounts::ImportedUser, ports::PasswordHash};
use repartee_domain::accounts::{ProfileChanges, Role};
use serde::Deserialize;

use crate::StartError;

/// Bytes of a line: many times what a user takes.
const LONGEST: u64 = 64 * 1024;

/// One user after the other, read as they are asked for.
pub(super) struct UserFile<R> {
    name: String,
    lines: R,
    number: u64,
}

#[derive(Deserialize)]
struct Line {
    email: String,
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    language: Option<String>,
    role: Option<String>,
    is_active: Option<bool>,
    password_hash: String,
    email_verified: Option<bool>,
}

impl UserFile<BufReader<File>> {
    pub(super) fn open(path: &Path) -> Result<Self, StartError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| cannot_read(&name, &error))?;
        Ok(Self { name, lines: BufReader::new(file), number: 0 })
    }
}

impl<R: BufRead> Iterator for UserFile<R> {
    type Item = Result<ImportedUser, StartError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            self.number += 1;
            match self.lines.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => return Some(self.user(&line)),
                Err(error) => return Some(Err(cannot_read(&self.name, &error))),
            }
        }
    }
}

impl<R> UserFile<R> {
    fn user(&self, line: &[u8]) -> Result<ImportedUser, StartError> {
        parse(self.number, line).map_err(|reason| {
            StartError::Command(format!("{}: line {}: {reason}", self.name, self.number))
        })
    }
}

fn cannot_read(name: &str, error: &io::Error) -> StartError {
    StartError::Command(format!("{name}: {error}"))
}

/// The reason never quotes the line, for there is a password hash in it.
fn parse(number: u64, line: &[u8]) -> Result<ImportedUser, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| reason(&error))?;
    let role = line.role.as_deref().map_or(Ok(Role::User), Role::assignable);
    Ok(ImportedUser {
        line: number,
        email: line.email,
        profile: ProfileChanges {
            username: line.username.map(Some),
            first_name: line.first_name.map(Some),
            last_name: line.last_name.map(Some),
            language: line.language.map(Some),
            preferences: None,
        },
        role: role.map_err(|error| error.to_string())?,
        is_active: line.is_active.unwrap_or(true),
        is_email_verified: line.email_verified.unwrap_or(false),
        password: PasswordHash(line.password_hash.into()),
    })
}

fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split(" at line ").next() {
        Some(missing) if missing.starts_with("missing field") => missing.to_owned(),
        _ if error.is_data() => "a field is not what it should be".to_owned(),
        _ => "must be a JSON object on one line".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<ImportedUser, String>> {
        let file = UserFile { name: "users.jsonl".into(), lines: text.as_bytes(), number: 0 };
        file.map(|user| user.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn each_line_is_a_user() {
        let users = read(concat!(
            r#"{"email": "ada@example.com", "password_hash": "$argon2id$x", "role": "admin"}"#,
            "\r\n\n",
            r#"{"email": "b@example.com", "password_hash": "x", "is_active": false, "new": 1}"#,
        ));
        let users: Vec<_> = users.into_iter().map(Result::unwrap).collect();
        assert_eq!((users[0].line, users[0].role, users[0].is_active), (1, Role::Admin, true));
        assert_eq!((users[1].line, users[1].role, users[1].is_active), (3, Role::User, false));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_without_the_hash() {
        for (line, reason) in [
            ("{", "must be a JSON object on one line"),
            (r#"{"email": "a@example.com"}"#, "missing field `password_hash`"),
            (r#"{"email": "a@b.c", "password_hash": "x", "role": "guest"}"#, "role must be"),
            (r#"{"email": 5, "password_hash": "hunter2"}"#, "a field is not what it should be"),
            (r#"{"password_hash": "x", "email": true}"#, "a field is not what it should be"),
        ] {
            let error = read(&format!("\n{line}\n")).remove(0).unwrap_err();
            assert!(error.starts_with(&format!("users.jsonl: line 2: {reason}")), "{error}");
            assert!(!error.contains("hunter2"));
        }
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_any_other() {
        let endless = "x".repeat(200_000);
        assert!(read(&endless)[0].is_err());
    }
}
