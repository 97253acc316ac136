//! What a client reads first (RFC 8414, 2).

use actix_web::HttpRequest;
use repartee_domain::accounts::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::edge::base_url;

#[derive(Serialize, ToSchema)]
pub(crate) struct MetadataBody {
    #[schema(example = "https://chat.example.com")]
    issuer: String,
    #[schema(example = "https://chat.example.com/oauth/token")]
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    jwks_uri: String,
    service_documentation: String,
    scopes_supported: Vec<&'static str>,
    /// None: nobody is sent anywhere to log in.
    response_types_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
}

impl MetadataBody {
    /// The configured address counts, then the issuer's where it is one.
    pub(super) fn of(request: &HttpRequest, public_url: Option<&str>, issuer: &str) -> Self {
        let is_address = issuer.starts_with("https://") || issuer.starts_with("http://");
        let known = public_url.or(is_address.then(|| issuer.trim_end_matches('/')));
        let base = base_url(request, known);
        let with_secret = ["client_secret_basic", "client_secret_post"];
        let with_or_without = [&with_secret[..], &["none"]].concat();
        Self {
            token_endpoint: format!("{base}/oauth/token"),
            revocation_endpoint: format!("{base}/oauth/revoke"),
            introspection_endpoint: format!("{base}/oauth/introspect"),
            jwks_uri: format!("{base}/.well-known/jwks.json"),
            service_documentation: format!("{base}/docs"),
            issuer: if is_address { issuer.to_owned() } else { base },
            scopes_supported: Scope::ALL.map(Scope::as_str).to_vec(),
            response_types_supported: Vec::new(),
            grant_types_supported: vec!["refresh_token", "client_credentials"],
            token_endpoint_auth_methods_supported: with_or_without.clone(),
            revocation_endpoint_auth_methods_supported: with_or_without,
            introspection_endpoint_auth_methods_supported: with_secret.to_vec(),
        }
    }
}
