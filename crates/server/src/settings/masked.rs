//! Values as they may be shown: in errors, in `repartee config`, in `Debug`.

use std::fmt::Write;

use toml::Value;

use super::layers::Layers;

pub(super) const MASK: &str = "********";

/// Secret from the first to the last character. In every other text the password of a URL is.
const SECRETS: [&str; 8] = [
    "auth.secret",
    "auth.external.secret",
    "bootstrap.admin_password",
    "providers.openai.api_key",
    "providers.llm_service.api_key",
    "files.s3.secret_access_key",
    "files.s3.session_token",
    "telemetry.sentry_dsn",
];

/// An error is one line; what is longer than this many characters is cut.
const LONGEST_SHOWN: usize = 100;

/// A value for an error: on one line, and short.
pub(super) fn in_one_line(key: &str, value: &Value) -> String {
    let text = match masked(key, value) {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string().replace('\n', " "),
    };
    if text.chars().count() <= LONGEST_SHOWN {
        return text;
    }
    text.chars().take(LONGEST_SHOWN).chain(" ...".chars()).collect()
}

/// Nobody knows what the value of a key is that doesn't exist: a misspelt secret, for one.
pub(super) fn of_unknown_key(value: &Value) -> String {
    match value {
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => value.to_string(),
        _ => MASK.to_owned(),
    }
}

/// All of it as TOML; behind each value that is no default, where it comes from.
pub(super) fn render(layers: &Layers) -> String {
    let mut rows: Vec<_> = layers
        .entries()
        .map(|(key, entry)| (key.rsplit_once('.').unwrap_or(("", key)), key, entry))
        .collect();
    rows.sort_by_key(|(path_and_name, ..)| *path_and_name);
    let mut text = String::new();
    let mut section = "";
    for ((path, name), key, entry) in rows {
        if path != section {
            let _ = write!(text, "\n[{path}]\n");
            section = path;
        }
        let _ = write!(text, "{name} = {}", masked(key, &entry.value));
        if !entry.is_default() {
            let _ = write!(text, " # {}", entry.origin);
        }
        text.push('\n');
    }
    text
}

fn masked(key: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => value.clone(),
        Value::String(_) if SECRETS.contains(&key) => MASK.into(),
        Value::String(text) => without_password(text).into(),
        Value::Array(items) => Value::Array(items.iter().map(|item| masked(key, item)).collect()),
        Value::Table(table) => {
            let masked = |(name, value): (&String, &Value)| (name.clone(), masked(key, value));
            Value::Table(table.iter().map(masked).collect())
        }
        other => other.clone(),
    }
}

fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let tail_folded = tail.to_lowercase();
    let is_doubtful = tail.contains('@') // an unescaped password, cut in two
        || ["password", "secret", "token", "key="].iter().any(|word| tail_folded.contains(word));
    if is_doubtful {
        return format!("{scheme}://{MASK}");
    }
    match authority.rsplit_once('@') {
        None => text.to_owned(),
        Some((user_info, host)) => match user_info.split_once(':') {
            Some((user, _)) => format!("{scheme}://{user}:{MASK}@{host}{tail}"),
            None => format!("{scheme}://{MASK}@{host}{tail}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_only_the_password_is_masked() {
        let cases = [
            ("postgres://app:hunter2@db:5432/chat", "postgres://app:********@db:5432/chat"),
            ("redis://:hunter2@cache/1", "redis://:********@cache/1"),
            ("https://hunter2@sentry.example/1", "https://********@sentry.example/1"),
            ("sqlite://data/repartee.db?mode=rwc", "sqlite://data/repartee.db?mode=rwc"),
        ];
        for (url, shown) in cases {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn where_the_password_ends_is_not_guessed() {
        for url in [
            "postgres://app:1/hunter2@db/chat",
            "postgres://app:1#hunter2@db/chat",
            "postgres://db/chat?user=app&password=hunter2",
        ] {
            assert_eq!(without_password(url), "postgres://********");
        }
    }

    #[test]
    fn an_error_stays_on_one_line() {
        let value = Value::from(format!("first\nsecond {}", "x".repeat(200)));
        let shown = in_one_line("replies.system_message", &value);
        assert!(shown.starts_with(r#""first\nsecond xxx"#), "{shown}");
        assert_eq!(shown.chars().count(), LONGEST_SHOWN + 4);
    }
}
