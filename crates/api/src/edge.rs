//! What holds for every request: limits, headers, versions.

mod conditions;
mod cross_origin;
mod framing;
mod headers;

use std::time::Duration;

use actix_web::HttpRequest;

pub(crate) use self::{
    conditions::{entity_tag, if_match, not_modified},
    cross_origin::cors,
    framing::refuse_ambiguous_framing,
    headers::security_headers,
};
use repartee_domain::network::Network;

#[derive(Debug, Clone)]
pub struct EdgeSettings {
    /// The largest JSON body.
    pub body_limit_bytes: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// The largest file.
    pub upload_limit_bytes: usize,
    /// How long an upload may take to arrive.
    pub upload_timeout: Duration,
    /// Origins that a browser may call from, besides our own. `*` is any.
    pub cors_origins: Vec<String>,
    /// Proxies whose word on who sent a request counts.
    pub trusted_proxies: Vec<Network>,
    pub hsts: Hsts,
    /// Where clients find the server, with no slash at the end; `None`: wherever they ask.
    pub public_url: Option<String>,
}

/// Whether browsers are told to come by TLS alone (RFC 6797).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hsts {
    Always,
    /// Where a proxy says that the request came by TLS.
    BehindTls,
    Never,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            body_limit_bytes: 256 * 1024,
            body_timeout: Duration::from_secs(30),
            upload_limit_bytes: 25 * 1024 * 1024,
            upload_timeout: Duration::from_mins(5),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            hsts: Hsts::BehindTls,
            public_url: None,
        }
    }
}

/// What addresses of ours begin with: the configured one counts. What the request says of the
/// address that it was sent to is whatever its sender likes: it counts where nothing else is known.
pub(crate) fn base_url(request: &HttpRequest, known: Option<&str>) -> String {
    known.map_or_else(
        || {
            let connection = request.connection_info();
            format!("{}://{}", connection.scheme(), connection.host())
        },
        str::to_owned,
    )
}
