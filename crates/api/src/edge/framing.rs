//! Requests whose end two readers could see in two places.

use actix_web::{
    Error, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    middleware::Next,
};

use crate::ApiError;

/// Refuses what has a length of both kinds, and ends its connection: a proxy in front that took the
/// other one would take the rest for somebody else's request (RFC 9112, 6.1 and 11.2).
pub(crate) async fn refuse_ambiguous_framing<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let headers = request.headers();
    if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
        let response = ApiError::AmbiguousLength.error_response();
        return Ok(request.into_response(response).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}
