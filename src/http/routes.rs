//! The one table of routes. Each handler names its method and path; its first argument says who may call; where none does, everybody
//! may.

use actix_web::web;
use utoipa_actix_web::service_config::ServiceConfig;

use super::auth::{export, login, own, password, unrecognised_login, verify};
use super::oauth::{introspect, revoke};
use super::well_known::{keys, metadata};
use super::{admin, api_document, forward_auth_paths, health};

/// Every route of the API.
pub fn table(routes: &mut ServiceConfig<'_>) {
    routes
        // asked for each request elsewhere: a path is compared with one route after the other
        .service(verify::verify)
        .service(verify::verify_head)
        .service(own::me)
        .service(introspect::introspect)
        // the same of proxies that keep the method, or append the path
        .route(forward_auth_paths::PATH, web::route().to(verify::verify_any))
        .service(verify::verify_below)
        .route(forward_auth_paths::BELOW, web::route().to(verify::verify_any_below))
        // people and the applications that act for them
        .service(login::login)
        .service(login::refresh)
        .service(login::logout)
        .service(login::logout_all)
        .service(login::setup)
        .service(own::list_sessions)
        .service(own::end_session)
        .service(own::list_attempts)
        .service(export::export)
        .service(password::change_password)
        .service(password::reset_password)
        .service(unrecognised_login::confirm_report)
        .service(unrecognised_login::report)
        // client applications
        .service(revoke::revoke)
        .service(keys::jwks)
        .service(metadata::authorization_server)
        .service(metadata::authorization_server_of_path)
        .service(metadata::protected_resource)
        .service(metadata::protected_resource_of_path)
        // administrators and reviewers
        .configure(admin::routes)
        // operators
        .service(admin::proof::checkpoint)
        .service(health::live)
        .service(health::ready)
        .service(api_document::openapi_json);
}
