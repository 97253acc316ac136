//! What OAuth looks like on the wire.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use repartee_application::{
    oauth::{Introspected, IssuedTokens, OauthError, TokenKind},
    ports::{PublicKey, PublicKeyMaterial},
};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// RFC 6749, 4.4.2 and 6.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document; what comes is read name by name")]
pub(crate) struct TokenRequestBody {
    /// `refresh_token` or `client_credentials`.
    #[schema(example = "client_credentials")]
    grant_type: String,
    refresh_token: Option<String>,
    /// With `client_credentials`: fewer than the key has.
    #[schema(example = "chat read")]
    scope: Option<String>,
    /// The id of a key.
    client_id: Option<String>,
    /// Its secret.
    client_secret: Option<String>,
}

/// RFC 7009, 2.1.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document; what comes is read name by name")]
pub(crate) struct RevocationBody {
    /// An access token or a refresh token.
    token: String,
    /// Not needed.
    token_type_hint: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// RFC 7662, 2.1.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document; what comes is read name by name")]
pub(crate) struct IntrospectionBody {
    /// An access token, a refresh token or a key.
    token: String,
    /// Not needed.
    token_type_hint: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// RFC 6749, 5.1.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenBody {
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds that the access token is good for.
    #[schema(example = 1800)]
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "chat read")]
    scope: Option<String>,
}

/// RFC 6749, 5.2.
#[derive(Serialize, ToSchema)]
pub(crate) struct OauthErrorBody {
    #[schema(example = "invalid_client")]
    error: &'static str,
    error_description: String,
}

/// RFC 7662, 2.2. Of a token that is not active nothing else is told.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct IntrospectedBody {
    active: bool,
    /// The user's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<Uuid>,
    /// The key's id, of a key or a token that it got.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "chat read")]
    scope: Option<String>,
    /// `Bearer`, but for a refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// Seconds since 1970, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
}

/// RFC 7517, 5.
#[derive(Serialize, ToSchema)]
pub(crate) struct JwkSetBody {
    keys: Vec<JwkBody>,
}

/// A public key (RFC 7518, 6; RFC 8037, 2).
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct JwkBody {
    #[schema(example = "OKP")]
    kty: &'static str,
    kid: String,
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    purpose: &'static str,
    #[schema(example = "EdDSA")]
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
}

impl From<IssuedTokens> for TokenBody {
    fn from(issued: IssuedTokens) -> Self {
        Self {
            access_token: issued.access.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_in: issued.expires_in.num_seconds(),
            refresh_token: issued.refresh.map(|token| token.expose_secret().to_owned()),
            scope: issued.scopes.map(|scopes| scopes.to_string()),
        }
    }
}

impl OauthErrorBody {
    pub(super) fn of(error: &OauthError) -> Self {
        Self { error: error.code().unwrap_or("server_error"), error_description: error.to_string() }
    }
}

impl IntrospectedBody {
    pub(super) fn of(found: Option<Introspected>, issuer: &str) -> Self {
        let Some(found) = found else { return Self::default() };
        Self {
            active: true,
            sub: Some(found.user.as_uuid()),
            client_id: found.client.map(repartee_domain::ApiKeyId::as_uuid),
            scope: found.scopes.map(|scopes| scopes.to_string()),
            token_type: (found.kind != TokenKind::Refresh).then_some("Bearer"),
            exp: found.expires_at.map(|end| end.timestamp()),
            iat: Some(found.issued_at.timestamp()),
            iss: Some(issuer.to_owned()),
            jti: found.token,
        }
    }
}

impl From<Vec<PublicKey>> for JwkSetBody {
    fn from(keys: Vec<PublicKey>) -> Self {
        Self { keys: keys.into_iter().map(Into::into).collect() }
    }
}

impl From<PublicKey> for JwkBody {
    fn from(key: PublicKey) -> Self {
        let number = |bytes: Vec<u8>| Some(BASE64.encode(bytes));
        let common = Self { kid: key.id, purpose: "sig", ..Self::default() };
        match key.material {
            PublicKeyMaterial::Ed25519 { x } => {
                let crv = Some("Ed25519");
                Self { kty: "OKP", alg: "EdDSA", crv, x: number(x), ..common }
            }
            PublicKeyMaterial::P256 { x, y } => {
                let crv = Some("P-256");
                Self { kty: "EC", alg: "ES256", crv, x: number(x), y: number(y), ..common }
            }
            PublicKeyMaterial::Rsa { modulus, exponent } => {
                let (n, e) = (number(modulus), number(exponent));
                Self { kty: "RSA", alg: "RS256", n, e, ..common }
            }
        }
    }
}
