//! Who is asking, where nobody need say who they are.

use std::{future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::AUTHORIZATION,
    web::{Data, Query},
};
use repartee_application::{Actor, AppError, accounts::Access, guests::GuestService};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{
    ApiError,
    auth::{Caller, StreamCaller, origin},
    limits,
};

/// Somebody with a good access token, or a guest, who sends none. A bad one is refused.
pub(crate) struct Visitor(pub(crate) Actor);

/// As [`Visitor`], and the token may stand in the query, or a ticket: for sockets.
pub(crate) struct SocketVisitor(pub(crate) Access);

/// A guest, whatever comes with the request.
pub(crate) struct Guest(pub(crate) Access);

#[derive(Default, Deserialize)]
struct Credentials {
    token: Option<IgnoredAny>,
    ticket: Option<IgnoredAny>,
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if request.headers().contains_key(AUTHORIZATION) {
            let caller = Caller::from_request(request, payload);
            return Box::pin(async move { caller.await.map(|Caller(actor)| Self(actor)) });
        }
        let request = request.clone();
        Box::pin(async move { guest(&request).await.map(|access| Self(access.actor)) })
    }
}

impl FromRequest for SocketVisitor {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let query = Query::<Credentials>::from_query(request.query_string());
        let query = query.map(Query::into_inner).unwrap_or_default();
        let is_in_query = query.token.is_some() || query.ticket.is_some();
        if is_in_query || request.headers().contains_key(AUTHORIZATION) {
            let caller = StreamCaller::from_request(request, payload);
            return Box::pin(async move { caller.await.map(|caller| Self(caller.access)) });
        }
        let request = request.clone();
        Box::pin(async move { guest(&request).await.map(Self) })
    }
}

impl FromRequest for Guest {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { guest(&request).await.map(Self) })
    }
}

async fn guest(request: &HttpRequest) -> Result<Access, ApiError> {
    let guests = request.app_data::<Data<GuestService>>().ok_or(AppError::Unauthenticated)?;
    let access = guests.stranger(origin(request))?;
    limits::admit(request, &access.actor).await?;
    Ok(access)
}
