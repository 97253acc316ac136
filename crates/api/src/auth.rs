//! Who is asking.

use std::{future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{AUTHORIZATION, USER_AGENT},
    web::{Data, Query},
};
use repartee_application::{
    Actor, AppError,
    accounts::{AccountService, Device},
};
use serde::Deserialize;

use crate::{ApiError, request_id::LoggedUser};

const MAX_USER_AGENT: usize = 400;

/// Somebody with a good access token in `Authorization: Bearer` (RFC 6750).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(pub(crate) Actor);

/// As [`Caller`], and the token may stand in `?token=`: for a browser's `EventSource`, which can
/// set no header. Only for routes that document it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamCaller(pub(crate) Actor);

#[derive(Deserialize)]
struct TokenQuery {
    token: Option<String>,
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
            let query = Query::<TokenQuery>::from_query(request.query_string()).ok();
            let in_query = query.and_then(|query| query.into_inner().token);
            let token = bearer(&request).map(str::to_owned).or(in_query);
            authenticate(&request, token).await.map(Self)
        })
    }
}

async fn authenticate(request: &HttpRequest, token: Option<String>) -> Result<Actor, ApiError> {
    let (Some(accounts), Some(token)) = (request.app_data::<Data<AccountService>>(), token) else {
        return Err(AppError::Unauthenticated.into());
    };
    let actor = accounts.authenticate(&token).await?;
    request.extensions_mut().insert(LoggedUser(actor.user));
    Ok(actor)
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Where the request comes from, for the list of signed-in devices.
pub(crate) fn device(request: &HttpRequest) -> Device {
    let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    Device {
        user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect()),
        ip: request.peer_addr().map(|address| address.ip().to_string()),
    }
}
