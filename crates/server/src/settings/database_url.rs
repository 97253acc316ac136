//! One form of database URL out of the many that deployments write.

use url::Url;

use super::SettingsError;
use super::sources::{Sources, Variable};

const HOST: [&str; 2] = ["DB_HOST", "POSTGRES_HOST"];
const PORT: [&str; 2] = ["DB_PORT", "POSTGRES_PORT"];
const USER: [&str; 2] = ["DB_USER", "POSTGRES_USER"];
const PASSWORD: [&str; 2] = ["DB_PASSWORD", "POSTGRES_PASSWORD"];
const NAME: [&str; 2] = ["DB_NAME", "POSTGRES_DB"];

/// The names of the parts.
pub(super) const NAMES: [&str; 10] = [
    HOST[0],
    PORT[0],
    USER[0],
    PASSWORD[0],
    NAME[0],
    HOST[1],
    PORT[1],
    USER[1],
    PASSWORD[1],
    NAME[1],
];

/// The URL that `DB_*` or `POSTGRES_*` make, and the variables that it comes from. What they leave
/// out is PostgreSQL's own default: the port 5432 on this machine, and a database named like the
/// user. `None` where none is set.
pub(super) fn from_parts(sources: &Sources) -> Option<(Result<String, SettingsError>, String)> {
    let part = |names: [&str; 2]| names.iter().find_map(|name| sources.variable(name));
    let (host, port, user, password, name) =
        (part(HOST), part(PORT), part(USER), part(PASSWORD), part(NAME));
    let parts: Vec<_> = [host, port, user, password, name].into_iter().flatten().collect();
    let origins: Vec<_> = parts.iter().map(|part| part.origin.as_str()).collect();
    let text = |part: Option<&Variable>| part.map(|variable| variable.value.clone());

    let user = text(user).unwrap_or_else(|| "postgres".to_owned());
    let name = text(name).unwrap_or_else(|| user.clone());
    let host = text(host).unwrap_or_else(|| "localhost".to_owned());
    let authority = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let port = match port.map(|port| (port, port.value.trim().parse::<u16>())) {
        Some((_, Ok(port))) => port,
        None => 5432,
        Some((given, Err(_))) => {
            let error = SettingsError::Key {
                key: "database.url".to_owned(),
                value: format!("{:?}", given.value),
                origin: given.origin.clone(),
                reason: "must be a port, from 0 to 65535".to_owned(),
            };
            return Some((Err(error), origins.join(", ")));
        }
    };
    let credentials = match text(password) {
        Some(password) => format!("{}:{}", encoded(&user), encoded(&password)),
        None => encoded(&user),
    };
    let url = format!("postgres://{credentials}@{authority}:{port}/{}", encoded(&name));
    (!parts.is_empty()).then(|| (Ok(url), origins.join(", ")))
}

/// What the database driver takes: `postgres://…`, `sqlite://path` or `sqlite::memory:`. The error
/// says what is expected.
pub(super) fn translate(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "must be postgres://user:password@host/name or sqlite://path";
    let (scheme, rest) = text.trim().split_once(':').ok_or(EXPECTED)?;
    let (database, driver) = match scheme.split_once('+') {
        Some((database, driver)) => (database, Some(driver)),
        None => (scheme, None),
    };
    match database {
        "postgres" | "postgresql" => {
            let mut url = Url::parse(&format!("postgres:{rest}")).map_err(|_| EXPECTED)?;
            let is_host_in_query = url.query_pairs().any(|(name, _)| name == "host");
            if !url.has_host() && !is_host_in_query {
                return Err(EXPECTED);
            }
            if driver == Some("asyncpg") {
                rename_ssl(&mut url);
            }
            Ok(url.into())
        }
        "sqlite" => sqlite(rest, driver.is_some()).ok_or(EXPECTED),
        _ => Err(EXPECTED),
    }
}

/// SQLAlchemy writes a path behind three slashes, so that `///x` is relative and `////x` is not. A
/// URL without its driver is only read that way where it can mean nothing else (`///./x`).
fn sqlite(rest: &str, is_sqlalchemy: bool) -> Option<String> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let path = match path.strip_prefix('/') {
        Some(behind) if is_sqlalchemy || behind.starts_with('.') || behind == ":memory:" => behind,
        _ => path,
    };
    match path {
        ":memory:" => Some("sqlite::memory:".to_owned()),
        "" if is_sqlalchemy => Some("sqlite::memory:".to_owned()),
        "" => None,
        path => Some(format!("sqlite://{path}")),
    }
}

/// asyncpg's own name for what libpq calls `sslmode`.
fn rename_ssl(url: &mut Url) {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if !pairs.iter().any(|(name, _)| name == "ssl") {
        return;
    }
    let mut query = url.query_pairs_mut();
    query.clear();
    for (name, value) in pairs {
        match (name.as_str(), value.to_lowercase().as_str()) {
            ("ssl", "true" | "1") => query.append_pair("sslmode", "require"),
            ("ssl", "false" | "0") => query.append_pair("sslmode", "disable"),
            ("ssl", mode) => query.append_pair("sslmode", mode),
            _ => query.append_pair(&name, &value),
        };
    }
}

/// Percent-encodes everything but what RFC 3986, 2.3, calls unreserved.
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_writes_is_translated() {
        for (given, expected) in [
            ("postgresql://a:b@db/chat", "postgres://a:b@db/chat"),
            (
                "postgres://a:b@db:5433/chat?sslmode=require",
                "postgres://a:b@db:5433/chat?sslmode=require",
            ),
            ("postgresql+asyncpg://a:b@db/chat", "postgres://a:b@db/chat"),
            (
                "postgres+asyncpg://a:b@db/chat?ssl=require",
                "postgres://a:b@db/chat?sslmode=require",
            ),
            (
                "postgresql+asyncpg://a:b@db/chat?ssl=True&x=1",
                "postgres://a:b@db/chat?sslmode=require&x=1",
            ),
            ("postgresql+psycopg2://a:b@db/chat", "postgres://a:b@db/chat"),
            ("sqlite+aiosqlite:///./x.db", "sqlite://./x.db"),
            ("sqlite+aiosqlite:///x.db", "sqlite://x.db"),
            ("sqlite+aiosqlite:////srv/x.db", "sqlite:///srv/x.db"),
            ("sqlite+aiosqlite://", "sqlite::memory:"),
            ("sqlite+aiosqlite:///:memory:", "sqlite::memory:"),
            ("sqlite:///./x.db", "sqlite://./x.db"),
            ("sqlite:///srv/x.db", "sqlite:///srv/x.db"),
            ("sqlite://data/x.db?mode=rwc", "sqlite://data/x.db?mode=rwc"),
            ("sqlite:x.db", "sqlite://x.db"),
            ("sqlite::memory:", "sqlite::memory:"),
        ] {
            assert_eq!(translate(given).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_cannot_be_a_database_is_refused() {
        for given in [
            "mysql://a:b@db/chat",
            "db/chat",
            "postgres:///chat",
            "sqlite://",
            "postgres://a:b@:x/",
        ] {
            assert!(translate(given).is_err(), "{given}");
        }
    }
}
