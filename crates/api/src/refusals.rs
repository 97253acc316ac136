//! Tells the audit log of those who were refused what they may not do.

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};
use repartee_application::{Actor, audit::AuditTrail};

use crate::ApiError;

/// Put into a request once it is known who sent it.
pub(crate) struct Known(pub(crate) Actor);

/// Once for each request, without making anybody wait.
pub(crate) async fn tell_refusals<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let response = next.call(request).await?;
    let error = response.response().error().and_then(|error| error.as_error::<ApiError>());
    if let Some(ApiError::App(error)) = error {
        let request = response.request();
        let extensions = request.extensions();
        let trail = request.app_data::<Data<AuditTrail>>();
        if let (Some(Known(actor)), Some(trail)) = (extensions.get(), trail) {
            let route = request.match_pattern();
            let place = format!("{} {}", request.method(), route.as_deref().unwrap_or("-"));
            trail.refused(actor, error, &place);
        }
    }
    Ok(response)
}
