//! One form of database URL out of the many that deployments write.

use std::fmt::Write;

use toml::Value;
use url::Url;

use super::SettingsError;
use super::layers::impossible;
use super::sources::{Sources, Variable};

/// Host, port, user, password, name: for each the first that is set counts.
const PARTS: [[&str; 2]; 5] = [
    ["DB_HOST", "POSTGRES_HOST"],
    ["DB_PORT", "POSTGRES_PORT"],
    ["DB_USER", "POSTGRES_USER"],
    ["DB_PASSWORD", "POSTGRES_PASSWORD"],
    ["DB_NAME", "POSTGRES_DB"],
];

/// Every name that means something here.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PARTS.into_iter().flatten()
}

/// The URL that `DB_*` or `POSTGRES_*` make, and the variables that it comes from; `None` where none
/// is set. What they leave out is what `psql` takes then: port 5432 of this machine, and a database
/// named like the user.
pub(super) fn from_parts(sources: &Sources) -> Result<Option<(String, String)>, SettingsError> {
    let [host, port, user, password, name] =
        PARTS.map(|names| names.into_iter().find_map(|name| sources.variable(name)));
    let given: Vec<&Variable> = [host, port, user, password, name].into_iter().flatten().collect();
    if given.is_empty() {
        return Ok(None);
    }
    let origins: Vec<_> = given.iter().map(|variable| variable.origin.as_str()).collect();
    let text = |variable: Option<&Variable>, default: &str| {
        variable.map_or(default, |variable| &variable.value).to_owned()
    };
    let user = text(user, "postgres");
    let name = text(name, &user);
    let host = text(host, "localhost");
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let port = port.map_or(Ok(5432), parsed_port)?;
    let password = password.map_or(String::new(), |p| format!(":{}", encoded(&p.value)));
    let url = format!("postgres://{}{password}@{host}:{port}/{}", encoded(&user), encoded(&name));
    Ok(Some((url, origins.join(", "))))
}

fn parsed_port(variable: &Variable) -> Result<u16, SettingsError> {
    variable.value.trim().parse().map_err(|_| {
        let given = Value::from(variable.value.as_str());
        impossible("database.url", &given, &variable.origin, "must be a port, from 0 to 65535")
    })
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

/// `SQLAlchemy` writes a path behind three slashes, so that `///x` is relative and `////x` is not. A
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
