//! Each of the well-known names.

use secrecy::SecretString;

use super::*;
use crate::settings::{CorsOrigins, FileStore, LogFormat, OpenAiProvider, ProviderKind};

fn exposed(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(ExposeSecret::expose_secret)
}

#[test]
fn where_it_listens() {
    let http = load(&[("HOST", "0.0.0.0"), ("PORT", "80"), ("WORKERS", "2")]).http;
    assert_eq!((http.host.as_str(), http.port, http.workers), ("0.0.0.0", 80, Some(2)));
    assert_eq!(load(&[("SERVER_PORT", "81")]).http.port, 81);
    for name in ["CORS_ORIGIN", "CORS_ORIGINS"] {
        let http = load(&[(name, "https://a.example/, http://localhost:3000")]).http;
        let listed = ["https://a.example", "http://localhost:3000"].map(str::to_owned);
        assert_eq!(http.cors_origins, CorsOrigins::Listed(listed.to_vec()));
    }
}

#[test]
fn the_database_as_a_url() {
    let settings = load(&[
        ("DATABASE_URL", "postgresql+asyncpg://app:pw@db/chat"),
        ("DB_HOST", "elsewhere"),
        ("DB_PORT", "never looked at"),
    ]);
    assert_eq!(database_url(&settings), "postgres://app:pw@db/chat");
}

#[test]
fn the_database_in_parts() {
    let db = load(&[
        ("DB_HOST", "db"),
        ("DB_PORT", "6432"),
        ("DB_USER", "app"),
        ("DB_PASSWORD", "p@ss/w:rd%20#?"),
        ("DB_NAME", "chat"),
    ]);
    assert_eq!(database_url(&db), "postgres://app:p%40ss%2Fw%3Ard%2520%23%3F@db:6432/chat");
    let postgres =
        load(&[("POSTGRES_USER", "app"), ("POSTGRES_PASSWORD", "pw"), ("POSTGRES_DB", "chat")]);
    assert_eq!(database_url(&postgres), "postgres://app:pw@localhost:5432/chat");
    let mixed = load(&[("DB_HOST", "fd00::1"), ("POSTGRES_USER", "app")]);
    assert_eq!(database_url(&mixed), "postgres://app@[fd00::1]:5432/app");
}

#[test]
fn the_pool_is_a_sum() {
    let both = load(&[("DATABASE_POOL_SIZE", "20"), ("DATABASE_MAX_OVERFLOW", "10")]);
    assert_eq!(both.database.max_connections, 30);
    assert_eq!(load(&[("DATABASE_POOL_SIZE", "20")]).database.max_connections, 20);
}

#[test]
fn redis_and_its_number() {
    let url = |pairs: &[(&str, &str)]| exposed(load(pairs).redis_url.as_ref()).map(str::to_owned);
    assert_eq!(url(&[("REDIS_URL", "redis://h:6379/0")]).as_deref(), Some("redis://h:6379/0"));
    let numbered = url(&[("REDIS_URL", "redis://:p@h:6379/0?x=1"), ("REDIS_DB", "3")]);
    assert_eq!(numbered.as_deref(), Some("redis://:p@h:6379/3?x=1"));
    assert_eq!(url(&[("REDIS_DB", "3")]), None);
}

#[test]
fn openai_is_asked_once_it_has_a_key() {
    let settings = load(&[
        ("OPENAI_API_KEY", "sk-1"),
        ("OPENAI_BASE_URL", "https://proxy.example/openai/"),
        ("OPENAI_MODEL", "gpt-x"),
    ]);
    assert_eq!(settings.providers.preferred(), ProviderKind::OpenAi);
    let openai = settings.providers.openai.unwrap();
    assert_eq!(openai.base_url, "https://proxy.example/openai");
    assert_eq!(openai.model.as_deref(), Some("gpt-x"));
    assert_eq!(exposed(openai.api_key.as_ref()), Some("sk-1"));
    assert!(load(&[("OPENAI_MODEL", "gpt-x")]).providers.openai.is_none());
}

#[test]
fn the_llm_service_goes_first_and_takes_openais_key_and_model() {
    let service = |pairs: &[(&str, &str)]| -> OpenAiProvider {
        let providers = load(pairs).providers;
        assert_eq!(providers.preferred(), ProviderKind::LlmService);
        providers.llm_service.unwrap()
    };
    for url in
        ["http://vllm:8000", "http://vllm:8000/", "http://vllm:8000/v1", "http://vllm:8000/v1/"]
    {
        let service = service(&[("LLM_SERVICE_URL", url)]);
        assert_eq!(service.base_url, "http://vllm:8000/v1");
        assert!(service.api_key.is_none() && service.model.is_none());
    }
    let service = service(&[
        ("LLM_SERVICE_URL", "http://vllm:8000"),
        ("OPENAI_API_KEY", "key"),
        ("OPENAI_MODEL", "qwen"),
    ]);
    assert_eq!(exposed(service.api_key.as_ref()), Some("key"));
    assert_eq!(service.model.as_deref(), Some("qwen"));
}

#[test]
fn openais_key_does_not_go_to_a_service_that_was_configured_otherwise() {
    let url = ("REPARTEE__PROVIDERS__LLM_SERVICE__BASE_URL", "http://vllm");
    let service = load(&[url, ("OPENAI_API_KEY", "sk-1")]).providers.llm_service.unwrap();
    assert!(service.api_key.is_none());
}

#[test]
fn of_the_three_secrets_the_first_counts() {
    let secret =
        |pairs: &[(&str, &str)]| exposed(load(pairs).auth.secret.as_ref()).map(str::to_owned);
    let all = [("AUTH_SECRET_KEY", "3"), ("SECRET_KEY", "2"), ("JWT_SECRET", "1")];
    assert_eq!(secret(&all).as_deref(), Some("1"));
    assert_eq!(secret(&all[..2]).as_deref(), Some("2"));
    assert_eq!(secret(&all[..1]).as_deref(), Some("3"));
}

#[test]
fn where_things_are_kept() {
    let settings = load(&[("DATA_PATH", "/srv/data/"), ("LOGS_PATH", "/srv/logs")]);
    assert_eq!(database_url(&settings), "sqlite:///srv/data/repartee.db");
    assert_eq!(settings.models_dir.to_str(), Some("/srv/data/models"));
    assert_eq!(settings.log.dir.unwrap().to_str(), Some("/srv/logs"));
    let settings = load(&[
        ("REPARTEE__FILES__STORE", "s3"),
        ("S3_BUCKET", "uploads"),
        ("S3_ENDPOINT", "http://minio:9000"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
        ("AWS_SESSION_TOKEN", "token"),
    ]);
    let FileStore::S3(s3) = settings.files.store else { panic!("not S3") };
    assert_eq!(s3.bucket, "uploads");
    assert_eq!(s3.endpoint.as_deref(), Some("http://minio:9000/"));
    assert_eq!(s3.region, "eu-west-1");
    assert_eq!(s3.access_key_id, "id");
    assert_eq!(exposed(Some(&s3.secret_access_key)), Some("key"));
    assert_eq!(exposed(s3.session_token.as_ref()), Some("token"));
}

#[test]
fn who_is_told() {
    let settings = load(&[
        ("SMTP_URL", "smtp://mail:25"),
        ("SENTRY_DSN", "https://key@sentry.example/1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4317"),
        ("AUTH_SERVICE_URL", "https://login.example"),
    ]);
    assert_eq!(exposed(settings.mail.smtp_url.as_ref()), Some("smtp://mail:25"));
    assert_eq!(
        exposed(settings.telemetry.sentry_dsn.as_ref()),
        Some("https://key@sentry.example/1")
    );
    assert_eq!(settings.telemetry.otlp_endpoint.as_deref(), Some("http://otel:4317/"));
    assert_eq!(settings.auth.external.issuer.as_deref(), Some("https://login.example"));
}

#[test]
fn how_much_is_logged() {
    let level = |pairs: &[(&str, &str)]| load(pairs).log.level;
    assert_eq!(level(&[("DEBUG", "1")]), "debug");
    assert_eq!(level(&[("DEBUG", "false")]), "info");
    assert_eq!(
        level(&[("DEBUG", "true"), ("RUST_LOG", "warn,repartee_api=debug")]),
        "warn,repartee_api=debug"
    );
    assert_eq!(load(&[("LOG_FORMAT", "json")]).log.format, LogFormat::Json);
}

#[test]
fn links_in_mails_begin_with_what_is_said_or_with_where_the_server_listens() {
    let url = |pairs: &[(&str, &str)]| load(pairs).http.links_begin_with();
    assert_eq!(url(&[]), "http://127.0.0.1:8080");
    assert_eq!(url(&[("HOST", "::1"), ("PORT", "81")]), "http://[::1]:81");
    let said = [("REPARTEE__HTTP__PUBLIC_URL", "https://example.com/chat/")];
    assert_eq!(url(&said), "https://example.com/chat");
}
