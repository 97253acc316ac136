//! `/health`: for people, balancers and orchestrators.

use actix_web::{HttpResponse, web::Data};
use repartee_application::{
    health::{CacheStatus, HealthService},
    ports::ModelStatus,
};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// `healthy` or `unhealthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// `connected` or `disconnected`.
    #[schema(example = "connected")]
    database: &'static str,
    /// `embedded`: in the process; `connected` to Redis, or `unavailable`: replies go on without.
    #[schema(example = "embedded")]
    cache: &'static str,
    /// `ready`, `degraded` or `unavailable`.
    #[schema(example = "ready")]
    model: &'static str,
    #[schema(example = "0.1.0")]
    version: &'static str,
    uptime_s: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ProbeBody {
    /// `live`, `ready` or `not_ready`.
    #[schema(example = "ready")]
    status: &'static str,
}

/// Whether the server can do its work, and with what.
#[utoipa::path(
    get, path = "/health", tag = "operations",
    responses((status = 200, body = HealthBody), (status = 503, description = "The database is away", body = HealthBody)),
    security(()),
)]
pub(crate) async fn health(service: Data<HealthService>) -> HttpResponse {
    let health = service.check().await;
    let body = HealthBody {
        status: if health.is_database_reachable { "healthy" } else { "unhealthy" },
        database: if health.is_database_reachable { "connected" } else { "disconnected" },
        cache: match health.cache {
            CacheStatus::Embedded => "embedded",
            CacheStatus::Connected => "connected",
            CacheStatus::Unavailable => "unavailable",
        },
        model: match health.model {
            ModelStatus::Ready => "ready",
            ModelStatus::Degraded => "degraded",
            ModelStatus::Unavailable => "unavailable",
        },
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: health.uptime.num_seconds(),
    };
    if health.is_database_reachable {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().json(body)
    }
}

/// The same as `/health`.
#[utoipa::path(
    get, path = "/api/health", tag = "operations",
    responses((status = 200, body = HealthBody), (status = 503, description = "The database is away", body = HealthBody)),
    security(()),
)]
pub(crate) async fn health_alias(service: Data<HealthService>) -> HttpResponse {
    health(service).await
}

/// The same as `/health`.
#[utoipa::path(
    get, path = "/api/v1/health", tag = "operations",
    responses((status = 200, body = HealthBody), (status = 503, description = "The database is away", body = HealthBody)),
    security(()),
)]
pub(crate) async fn health_v1(service: Data<HealthService>) -> HttpResponse {
    health(service).await
}

/// Whether the process runs.
#[utoipa::path(
    get, path = "/health/live", tag = "operations",
    responses((status = 200, body = ProbeBody)), security(()),
)]
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(ProbeBody { status: "live" })
}

/// Whether it should get traffic: not while it is draining, nor without its database.
#[utoipa::path(
    get, path = "/health/ready", tag = "operations",
    responses((status = 200, body = ProbeBody), (status = 503, description = "Not now", body = ProbeBody)),
    security(()),
)]
pub(crate) async fn ready(service: Data<HealthService>) -> HttpResponse {
    if service.is_ready().await {
        HttpResponse::Ok().json(ProbeBody { status: "ready" })
    } else {
        HttpResponse::ServiceUnavailable().json(ProbeBody { status: "not_ready" })
    }
}
