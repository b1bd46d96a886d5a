//! A preflight of somebody else's application, which a reverse proxy asks about as about any request, is not answered here for
//! that application: a yes by CORS would be taken for a yes by forward-auth.

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::ACCESS_CONTROL_REQUEST_METHOD;

use crate::http::forward_auth_paths;

/// Takes from a question of forward-auth what makes it look like a preflight of ours.
pub(super) fn leave_to_forward_auth(request: &mut ServiceRequest) {
    if *request.method() == Method::OPTIONS && forward_auth_paths::is_asked(request.path()) {
        request.headers_mut().remove(ACCESS_CONTROL_REQUEST_METHOD);
    }
}
