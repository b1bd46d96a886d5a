//! Pages for people with a browser: log in, see and end one's own sessions, change a password; and the console for administrators
//! and reviewers. They call the operations that the API calls; there is no second path.
//!
//! A page is a template (`templates/`) with texts in the language of its reader (`texts/`), and works without script. A handler
//! takes a [`PageCaller`](caller::PageCaller), whom a cookie makes known, and a [`PageForm`](form::PageForm), which no other
//! site can send; errors are those of the API, and [`shell`] shows them as pages. The session of a page is a row in `sessions` like
//! every other.

mod accessibility;
mod account;
mod agent;
mod assets;
mod attempts;
mod caller;
mod console;
pub(in crate::http) mod cookies;
mod current_page;
mod export;
mod form;
mod frame;
mod half_filled;
mod language;
mod login;
mod logout;
mod moment;
pub(in crate::http) mod not_me;
pub(in crate::http) mod one_time;
mod own_sessions;
mod password;
mod preferences;
mod privacy;
mod return_to;
mod rgaa;
mod root;
mod session_name;
mod shell;

use actix_web::http::header::{ACCEPT, ContentType, LOCATION, REFERRER_POLICY};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, Resource, guard, web};
use askama::Template;

use super::error::ApiError;
use crate::config::Site;
pub(super) use assets::Assets;

/// A page loads what comes from here, runs no script that stands in it, and sends its forms back here alone (WEB-03); a login may lead
/// on to a site behind the gate.
fn policy(sites: &[Site]) -> String {
    let sites: Vec<String> = std::iter::once("'self'".to_owned()).chain(sites.iter().map(Site::origin)).collect();
    let sites = sites.join(" ");
    format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action {sites}; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// The routes of all pages.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(page("/").get(root::show))
        .service(page("/login").get(login::show).post(login::log_in))
        .service(page("/logout").get(logout::ask).post(logout::log_out))
        .service(page("/setup").get(one_time::show_setup).post(one_time::set_up))
        .service(page("/reset").get(one_time::show_reset).post(one_time::reset))
        .service(page(not_me::PATH).get(not_me::show).post(not_me::report))
        .service(page("/account").get(account::show))
        .service(page("/account/sessions").get(own_sessions::show))
        .service(page("/account/sessions/end-others").post(own_sessions::end_others))
        .service(page("/account/sessions/end-all").post(own_sessions::end_all))
        .service(page("/account/sessions/{id}/end").post(own_sessions::end))
        .service(page("/account/sessions/{id}/name").get(session_name::show).post(session_name::set))
        .service(page("/account/attempts").get(attempts::show))
        .service(page("/account/password").get(password::show).post(password::change))
        .service(page("/account/export").get(export::show).post(export::download))
        .service(page("/console").get(console::home))
        .service(page("/console/sessions").get(console::sessions::show))
        .service(page("/console/sessions/{id}").get(console::session::show))
        .service(page("/console/sessions/{id}/end").get(console::end::ask).post(console::end::end))
        .service(page("/account/extend").post(own_sessions::extend))
        .service(page("/privacy").get(privacy::show))
        .service(page("/accessibility").get(accessibility::show))
        .service(page("/preferences").post(preferences::set))
        .service(
            web::resource("/assets/{name}")
                .route(web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(assets::serve)),
        );
}

/// A page, whose handlers are added one a method; HEAD is answered as GET (RFC 9110 §9.3.2), without its content.
struct PageResource {
    resource: Resource,
    methods: Vec<&'static str>,
}

fn page(path: &'static str) -> PageResource {
    PageResource { resource: web::resource(path), methods: Vec::new() }
}

impl PageResource {
    fn get<F, Arguments>(mut self, handler: F) -> Self
    where
        F: actix_web::Handler<Arguments>,
        Arguments: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        self.methods.extend(["GET", "HEAD"]);
        self.resource = self.resource.route(web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(handler));
        self
    }

    fn post<F, Arguments>(mut self, handler: F) -> Self
    where
        F: actix_web::Handler<Arguments>,
        Arguments: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        self.methods.push("POST");
        self.resource = self.resource.route(web::post().to(handler));
        self
    }
}

impl actix_web::dev::HttpServiceFactory for PageResource {
    fn register(self, config: &mut actix_web::dev::AppService) {
        let methods = self.methods.join(", ");
        let other = move || {
            let methods = methods.clone();
            async move { Err::<HttpResponse, _>(ApiError::MethodNotAllowed(methods)) }
        };
        self.resource.default_service(web::to(other)).wrap(from_fn(shell::shell)).register(config);
    }
}

/// The page that says that there is none, for whoever asks for a page; `None` for programs, and where there are no pages.
pub(super) fn not_found(request: &HttpRequest) -> Option<HttpResponse> {
    let accepted = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants_page = matches!(*request.method(), Method::GET | Method::HEAD)
        && accepted.is_some_and(|accepted| accepted.contains("text/html"));
    if wants_page { shell::not_found(request) } else { None }
}

/// The answer that shows a page.
fn answer(status: StatusCode, page: &impl Template) -> Result<HttpResponse, ApiError> {
    let body = page.render().map_err(|error| {
        tracing::error!(cause = %error, "a page could not be rendered");
        ApiError::Unavailable
    })?;
    // With `no-referrer` a browser would not say either which origin a form is from.
    let referrer_policy = (REFERRER_POLICY, "same-origin");
    Ok(HttpResponse::build(status).insert_header(ContentType::html()).insert_header(referrer_policy).body(body))
}

/// The answer that leads to another page: what was sent is not sent again (RFC 9110 §15.4.4).
fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, location)).finish()
}
