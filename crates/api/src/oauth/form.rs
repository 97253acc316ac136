//! Parameters, and who says that they are the client.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::AUTHORIZATION, web::Data,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use repartee_application::oauth::{ClientCredentials, OauthError};
use secrecy::SecretString;

use super::refusal::Refusal;
use crate::{EdgeSettings, body};

/// Bytes. Nothing that is asked here comes near.
const LIMIT: usize = 16 * 1024;
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// The parameters of a request, each once; one without a value is none (RFC 6749, 3.2).
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    fn parse(bytes: &[u8]) -> Result<Self, OauthError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(OauthError::InvalidRequest("a parameter is given twice"));
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        Ok(Self(parameters))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    /// Who says that they are the client, in one of the two ways (RFC 6749, 2.3.1); `None` for who
    /// does not say. An id alone proves nothing.
    pub(super) fn client(
        &self,
        request: &HttpRequest,
    ) -> Result<Option<ClientCredentials>, OauthError> {
        let (id, secret) = (self.text("client_id"), self.secret("client_secret"));
        if let Some(given) = basic(request)? {
            let is_another = id.is_some_and(|id| id != given.id);
            if secret.is_some() || is_another {
                let reason = "the client authenticates in one way, not in two";
                return Err(OauthError::InvalidRequest(reason));
            }
            return Ok(Some(given));
        }
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(Some(ClientCredentials { id, secret })),
            (None, Some(_)) => Err(OauthError::InvalidRequest("client_id must be given")),
            (_, None) => Ok(None),
        }
    }
}

/// RFC 7617. Ids and secrets of keys have no character that would be encoded in another way.
fn basic(request: &HttpRequest) -> Result<Option<ClientCredentials>, OauthError> {
    let Some(header) = request.headers().get(AUTHORIZATION) else { return Ok(None) };
    let text = header.to_str().map_err(|_| OauthError::InvalidClient)?;
    let Some((scheme, encoded)) = text.split_once(' ') else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let (id, secret) = decoded
        .as_deref()
        .and_then(|text| text.split_once(':'))
        .ok_or(OauthError::InvalidClient)?;
    Ok(Some(ClientCredentials { id: id.to_owned(), secret: secret.into() }))
}

impl FromRequest for Form {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_form = request.content_type().eq_ignore_ascii_case(MEDIA_TYPE);
        let edge = request.app_data::<Data<EdgeSettings>>();
        let patience =
            edge.map_or_else(|| EdgeSettings::default().body_timeout, |edge| edge.body_timeout);
        let payload = payload.take();
        Box::pin(async move {
            let bytes = body::read(payload, LIMIT, patience).await?;
            if !is_form {
                let reason = "send the body as application/x-www-form-urlencoded";
                return Err(OauthError::InvalidRequest(reason).into());
            }
            Ok(Self::parse(&bytes)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use secrecy::ExposeSecret;

    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(text.as_bytes()).unwrap()
    }

    fn basic_of(text: &str) -> TestRequest {
        let value = format!("Basic {}", BASE64_STANDARD.encode(text));
        TestRequest::post().insert_header((AUTHORIZATION, value))
    }

    #[test]
    fn a_parameter_without_a_value_is_none_and_none_comes_twice() {
        assert_eq!(form("scope=&grant_type=a+b%21").text("scope"), None);
        assert_eq!(form("grant_type=a+b%21").text("grant_type").as_deref(), Some("a b!"));
        for twice in ["a=1&a=2", "a=1&a=1", "a=&a=1"] {
            let refused = Form::parse(twice.as_bytes()).err().unwrap();
            assert_eq!(refused.code(), Some("invalid_request"), "{twice}");
        }
    }

    #[test]
    fn a_client_says_who_it_is_in_one_way() {
        let plain = TestRequest::post().to_http_request();
        let in_body = form("client_id=me&client_secret=s").client(&plain).unwrap().unwrap();
        assert_eq!((in_body.id.as_str(), in_body.secret.expose_secret()), ("me", "s"));
        assert!(form("client_id=me").client(&plain).unwrap().is_none());
        assert!(form("").client(&plain).unwrap().is_none());
        assert!(form("client_secret=s").client(&plain).is_err());

        let request = basic_of("me:s:t").to_http_request();
        let given = form("client_id=me").client(&request).unwrap().unwrap();
        assert_eq!((given.id.as_str(), given.secret.expose_secret()), ("me", "s:t"));
        for both in ["client_id=me&client_secret=s", "client_id=you"] {
            let refused = form(both).client(&request).unwrap_err();
            assert_eq!(refused.code(), Some("invalid_request"), "{both}");
        }
        for header in ["Basic", "Basic !", "Basic bWU=", "Basic /w=="] {
            let request = TestRequest::post().insert_header((AUTHORIZATION, header));
            let client = form("").client(&request.to_http_request());
            assert!(!matches!(client, Ok(Some(_))), "{header}");
        }
    }
}
