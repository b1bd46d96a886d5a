//! For administrators and reviewers.

use utoipa_actix_web::service_config::ServiceConfig;

/// Every route for administrators and reviewers.
pub fn routes(_routes: &mut ServiceConfig<'_>) {}
