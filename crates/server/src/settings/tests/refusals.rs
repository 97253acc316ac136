//! What stops the start, word by word.

use super::*;

fn refused(pairs: &[(&str, &str)]) -> String {
    refusal(&variables(pairs))
}

#[test]
fn an_unknown_environment() {
    let line = r#"REPARTEE_ENV = "staging" (environment variable REPARTEE_ENV): must be development, test or production"#;
    assert_eq!(refused(&[("REPARTEE_ENV", "staging")]), line);
}

#[test]
fn an_unknown_key() {
    let sources = Sources::default().with_file("config/development.toml", "[http]\nprot = 80");
    assert_eq!(refusal(&sources), "http.prot = 80 (config/development.toml): there is no such key");
    assert_eq!(
        refused(&[("REPARTEE__AUTH__SECERT", "hunter2")]),
        "auth.secert = ******** (environment variable REPARTEE__AUTH__SECERT): there is no such key"
    );
}

#[test]
fn a_wrong_type() {
    let sources = Sources::default().with_file("config/development.toml", "http.port = \"80\"");
    assert_eq!(
        refusal(&sources),
        r#"http.port = "80" (config/development.toml): must be a whole number"#
    );
    for (name, value, line) in [
        (
            "REPARTEE__HTTP__PORT",
            "http",
            r#"http.port = "http" (environment variable REPARTEE__HTTP__PORT): must be a whole number"#,
        ),
        (
            "REPARTEE__GUESTS__ENABLED",
            "maybe",
            r#"guests.enabled = "maybe" (environment variable REPARTEE__GUESTS__ENABLED): must be true or false"#,
        ),
        ("DEBUG", "*", r#"log.level = "*" (environment variable DEBUG): must be true or false"#),
        (
            "DATABASE_MAX_OVERFLOW",
            "-1",
            r#"database.max_connections = "-1" (environment variable DATABASE_MAX_OVERFLOW): must be a whole number"#,
        ),
        (
            "DB_PORT",
            "99999",
            r#"database.url = "99999" (environment variable DB_PORT): must be a port, from 0 to 65535"#,
        ),
    ] {
        assert_eq!(refused(&[(name, value)]), line);
    }
}

#[test]
fn an_impossible_value() {
    for (name, value, line) in [
        ("PORT", "65536", "http.port = 65536 (environment variable PORT): must be from 0 to 65535"),
        (
            "REPARTEE__LIMITS__CONCURRENT_GENERATIONS",
            "65",
            "limits.concurrent_generations = 65 (environment variable REPARTEE__LIMITS__CONCURRENT_GENERATIONS): must be from 1 to 64",
        ),
        (
            "CORS_ORIGIN",
            "a.example",
            r#"http.cors_origins = ["a.example"] (environment variable CORS_ORIGIN): "a.example" is no origin (https://chat.example.com)"#,
        ),
        (
            "REPARTEE__HTTP__TRUSTED_PROXIES",
            "10.0.0.0/33",
            r#"http.trusted_proxies = ["10.0.0.0/33"] (environment variable REPARTEE__HTTP__TRUSTED_PROXIES): "10.0.0.0/33" is neither an address nor a network (10.0.0.0/8)"#,
        ),
        (
            "DATABASE_URL",
            "mysql://app:hunter2@db/chat",
            r#"database.url = "mysql://app:********@db/chat" (environment variable DATABASE_URL): must be postgres://user:password@host/name or sqlite://path"#,
        ),
        (
            "REDIS_URL",
            "http://cache",
            r#"redis.url = "http://cache" (environment variable REDIS_URL): must be a URL that begins with redis:// or rediss://"#,
        ),
        (
            "LLM_SERVICE_URL",
            "vllm:8000",
            r#"providers.llm_service.base_url = "vllm:8000" (environment variable LLM_SERVICE_URL): must be a URL that begins with https:// or http://"#,
        ),
        (
            "OPENAI_BASE_URL",
            "https://me:hunter2@x.example/v1",
            r#"providers.openai.base_url = "https://me:********@x.example/v1" (environment variable OPENAI_BASE_URL): must hold no user, password or query"#,
        ),
        (
            "LOG_FORMAT",
            "xml",
            r#"log.format = "xml" (environment variable LOG_FORMAT): must be pretty or json"#,
        ),
        (
            "RUST_LOG",
            "a=b=c",
            r#"log.level = "a=b=c" (environment variable RUST_LOG): must be error, warn, info, debug, trace, off or a filter (info,repartee_api=debug)"#,
        ),
        (
            "REPARTEE__AUTH__REGISTRATION",
            "invite",
            r#"auth.registration = "invite" (environment variable REPARTEE__AUTH__REGISTRATION): must be open or closed"#,
        ),
        (
            "REPARTEE__AUTH__REFRESH_DAYS",
            "31",
            "auth.refresh_absolute_days = 30 (config/default.toml): must not be less than auth.refresh_days",
        ),
        (
            "REPARTEE__BOOTSTRAP__ADMIN_PASSWORD",
            "hunter2",
            r#"bootstrap.admin_email = "" (config/default.toml): must be given with admin_password"#,
        ),
        (
            "REPARTEE__BOOTSTRAP__ADMIN_EMAIL",
            "a@b.example",
            r#"bootstrap.admin_password = "" (config/default.toml): must be given with admin_email"#,
        ),
        (
            "REPARTEE__REPLIES__MAX_OUTPUT_TOKENS",
            "8192",
            "replies.max_output_tokens = 8192 (environment variable REPARTEE__REPLIES__MAX_OUTPUT_TOKENS): must be less than replies.context_tokens",
        ),
        (
            "REPARTEE__FILES__STORE",
            "s3",
            r#"files.s3.bucket = "" (config/default.toml): must not be empty"#,
        ),
        (
            "REPARTEE__MODERATION__MODE",
            "local",
            r#"moderation.mode = "local" (environment variable REPARTEE__MODERATION__MODE): this version moderates nothing: it must be off"#,
        ),
    ] {
        assert_eq!(refused(&[(name, value)]), line);
    }
}

#[test]
fn what_production_is_strict_about() {
    let production = ("REPARTEE_ENV", "production");
    assert_eq!(
        refused(&[production]),
        r#"auth.secret = "" (config/default.toml): must be given in production, for example as JWT_SECRET (openssl rand -hex 32)"#
    );
    assert_eq!(
        refused(&[production, ("SECRET_KEY", "hunter2")]),
        r#"auth.secret = "********" (environment variable SECRET_KEY): must have at least 32 bytes"#
    );
    for example in
        ["your-secret-key-change-this-in-production", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
    {
        assert_eq!(
            refused(&[production, ("JWT_SECRET", example)]),
            r#"auth.secret = "********" (environment variable JWT_SECRET): must not be an example: make one with openssl rand -hex 32"#
        );
    }
    assert_eq!(
        refused(&[production, ("JWT_SECRET", STRONG), ("CORS_ORIGINS", "*")]),
        r#"http.cors_origins = ["*"] (environment variable CORS_ORIGINS): "*" is not possible in production: list the origins"#
    );
}

#[test]
fn a_file_that_is_no_toml_names_the_line_but_does_not_show_it() {
    let text = "[auth]\nissuer = \"x\"\nsecret = hunter2\n";
    let line = refusal(&Sources::default().with_file("config/development.toml", text));
    assert!(line.starts_with("config/development.toml, line 3: "), "{line}");
    assert!(!line.contains("hunter2") && !line.contains('\n'), "{line}");
}

#[test]
fn a_line_of_dotenv_that_is_none_is_named_but_not_shown() {
    let error = Sources::default().with_dotenv("PORT=1\nJWT_SECRET=hunter2 and more\n");
    let line = error.err().map(|error: SettingsError| error.to_string());
    let expected = ".env, line 2: must be NAME=value, with quotes around a value that has spaces";
    assert_eq!(line.as_deref(), Some(expected));
}

#[test]
fn where_a_value_of_dotenv_comes_from_is_said() {
    let sources = Sources::default().with_dotenv("PORT=x").unwrap();
    assert_eq!(refusal(&sources), r#"http.port = "x" (PORT in .env): must be a whole number"#);
}

#[test]
fn mail_that_could_not_be_sent_or_followed() {
    for (name, value, line) in [
        ("REPARTEE__MAIL__FROM", "nobody", "mail.from = \"nobody\""),
        ("REPARTEE__MAIL__FROM", " ", "mail.from"),
        ("REPARTEE__HTTP__PUBLIC_URL", "chat.example.com", "http.public_url"),
        ("REPARTEE__HTTP__PUBLIC_URL", "https://chat.example.com/?a=b", "http.public_url"),
    ] {
        assert!(refused(&[(name, value)]).starts_with(line), "{value}");
    }
}
