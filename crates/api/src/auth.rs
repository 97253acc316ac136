//! Who is asking.

use std::{future::Future, net::IpAddr, pin::Pin};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{AUTHORIZATION, HeaderName, USER_AGENT},
    web::{Data, Query},
};
use repartee_application::{
    Actor, AppError, Origin,
    accounts::{Access, Authenticator, StreamAccessService},
};
use repartee_domain::{GenerationId, network::client_address};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{
    ApiError, EdgeSettings, limits, messages,
    refusals::Known,
    replies::{EventId, last_event_text},
    request_id::{self, LoggedUser},
};

const MAX_USER_AGENT: usize = 400;
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Somebody with a good access token, or a key, in `Authorization: Bearer` (RFC 6750).
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Actor);

/// As [`Caller`], and the token may stand in `?token=`, or a ticket in `?ticket=`: for browsers,
/// which can set no header for streams and sockets. Only for routes that document it.
#[derive(Debug)]
pub(crate) struct StreamCaller {
    pub(crate) access: Access,
    /// The ticket that was spent, which a reply can be bound to.
    pub(crate) ticket: Option<SecretString>,
}

#[derive(Default, Deserialize)]
struct StreamQuery {
    token: Option<SecretString>,
    ticket: Option<SecretString>,
    last_event_id: Option<String>,
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let token = bearer(&request).map(str::to_owned);
            authenticate(&request, token).await.map(Self)
        })
    }
}

impl FromRequest for StreamCaller {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let query = Query::<StreamQuery>::from_query(request.query_string());
            let query = query.map(Query::into_inner).unwrap_or_default();
            let Some(streams) = request.app_data::<Data<StreamAccessService>>() else {
                return Err(AppError::Unauthenticated.into());
            };
            let token = bearer(&request).map(SecretString::from).or(query.token);
            let caller = match (token, query.ticket) {
                (Some(token), _) => {
                    let access = streams.by_token(token.expose_secret(), origin(&request)).await;
                    let access = access.map_err(refused)?;
                    Self { access, ticket: None }
                }
                (None, Some(ticket)) => {
                    let resuming = resuming(&request, query.last_event_id.as_deref());
                    let access = streams
                        .by_ticket(ticket.expose_secret(), resuming, origin(&request))
                        .await?;
                    Self { access, ticket: Some(ticket) }
                }
                (None, None) => return Err(AppError::Unauthenticated.into()),
            };
            remember(&request, &caller.access.actor);
            limits::admit(&request, &caller.access.actor).await?;
            Ok(caller)
        })
    }
}

/// The reply that a request wants to read on: a ticket that opened it is good for that. Sockets
/// and feeds are no replies, whatever event id comes with them.
fn resuming(request: &HttpRequest, in_query: Option<&str>) -> Option<GenerationId> {
    if let Some(id) = request.match_info().get("generation_id") {
        return id.parse().ok();
    }
    if request.match_pattern().as_deref() != Some(messages::STREAM_CHAT) {
        return None;
    }
    last_event_text(request, in_query).and_then(EventId::parse).map(|id| id.generation)
}

async fn authenticate(request: &HttpRequest, token: Option<String>) -> Result<Actor, ApiError> {
    let (Some(authenticator), Some(token)) = (request.app_data::<Data<Authenticator>>(), token)
    else {
        return Err(AppError::Unauthenticated.into());
    };
    let access = authenticator.authenticate(&token, origin(request)).await;
    let Access { actor, .. } = access.map_err(refused)?;
    remember(request, &actor);
    limits::admit(request, &actor).await?;
    Ok(actor)
}

/// For the log and for the audit log.
fn remember(request: &HttpRequest, actor: &Actor) {
    let mut extensions = request.extensions_mut();
    extensions.insert(LoggedUser(actor.user));
    extensions.insert(Known(actor.clone()));
}

/// Whoever sent a token is told that it is the token that is wrong (RFC 6750, 3.1).
pub(crate) fn refused(error: AppError) -> ApiError {
    match error {
        AppError::Unauthenticated => ApiError::InvalidToken,
        error => error.into(),
    }
}

pub(crate) fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Where the request comes from, for the audit log and the list of signed-in devices.
pub(crate) fn origin(request: &HttpRequest) -> Origin {
    let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    let user_agent = user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect::<String>());
    Origin {
        address: address(request),
        user_agent: user_agent.map(Into::into),
        request_id: Some(request_id::current()).filter(|id| !id.is_empty()).map(Into::into),
    }
}

/// The address of whoever sent the request, as far as the proxies before us can be believed.
fn address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    let trusted = match request.app_data::<Data<EdgeSettings>>() {
        Some(edge) => edge.trusted_proxies.as_slice(),
        None => &[],
    };
    let lines: Vec<_> = request.headers().get_all(FORWARDED_FOR).collect();
    // What is no text is an entry that cannot be read.
    let lines = lines.iter().map(|line| line.to_str().unwrap_or_default());
    Some(client_address(peer, lines.flat_map(|line| line.split(',')), trusted))
}
