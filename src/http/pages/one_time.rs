//! Pages of a link that is good once: `/setup` for the first administrator, `/reset` for a new password. Opening the link uses
//! nothing up, since mail scanners follow links: its token moves to a cookie, and the address is cleaned.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::cookies::{CookieUse, Cookies};
use super::form::{LinkForm, link_token};
use super::frame::{Frame, base};
use super::login::{asking_for_hints, logged_in};
use super::password::{min_length, unacceptable};
use super::shell::{is_from_elsewhere, reload};
use super::{answer, see_other};
use crate::app::App;
use crate::authentication::password::Credentials;
use crate::http::authenticate::RequestInfo;
use crate::http::authenticated_body::Anonymous;
use crate::http::error::ApiError;
use crate::http::input::parse_query;
use crate::model::client::LoginClient;
use crate::model::secret::{Secret, SecretKind};
use crate::model::session::Actor;
use crate::model::user::Username;
use crate::user::UserError;
use crate::user::password::{OneTimeTokenError, OneTimeUse};

#[derive(Debug, Default, Deserialize)]
struct LinkQuery {
    token: Option<SecretString>,
}

/// The form of the first administrator.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetupForm {
    username: String,
    new_password: SecretString,
    new_password_again: SecretString,
}

/// The form of a new password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetForm {
    new_password: SecretString,
    new_password_again: SecretString,
}

#[derive(Template)]
#[template(path = "one_time.html")]
struct OneTimePage {
    frame: Frame,
    is_setup: bool,
    /// What the form must hold, where a link was followed that is good now.
    link_token: Option<String>,
    /// Whether an installation waits for its first user, and no link was followed yet.
    awaits_link: bool,
    username: String,
    min_length: i64,
    wrong_username: Option<String>,
    wrong_new: Option<String>,
}

/// Shows the form that creates the first administrator.
pub(super) async fn show_setup(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    show(&app, &request, OneTimeUse::SetUp).await
}

/// Shows the form that sets a new password.
pub(super) async fn show_reset(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    show(&app, &request, OneTimeUse::Reset).await
}

async fn show(app: &web::Data<App>, request: &HttpRequest, use_: OneTimeUse) -> Result<HttpResponse, ApiError> {
    let query: LinkQuery = parse_query(request.query_string()).unwrap_or_default();
    if let Some(token) = query.token {
        return follow_link(app, &token, request.path());
    }
    let page = page(app, request, use_).await?;
    let has_link = page.link_token.is_some();
    if !has_link && is_from_elsewhere(request) {
        return reload(app, request);
    }
    // The set-up logs in.
    asking_for_hints(answer(if has_link || page.awaits_link { StatusCode::OK } else { StatusCode::GONE }, &page)?)
}

/// Moves the token of a link to a cookie, and leads to its page.
pub(in crate::http) fn follow_link(app: &App, token: &SecretString, page: &str) -> Result<HttpResponse, ApiError> {
    let mut response = see_other(&format!("{}{page}", base(app)));
    match Secret::parse(SecretKind::OneTimeToken, token.expose_secret()) {
        // Written anew from its bytes: what stands in the cookie is ours.
        Ok(secret) => {
            let cookie = Cookies::of(app).set(CookieUse::OneTimeToken, secret.reveal(SecretKind::OneTimeToken));
            response.add_cookie(&cookie).map_err(|_| ApiError::Unavailable)?;
        }
        // Nor does the page take one from an earlier link for it.
        Err(_) => forget_token(app, &mut response)?,
    }
    Ok(response)
}

/// Creates the first administrator, and logs in.
pub(super) async fn set_up(
    app: web::Data<App>,
    request: HttpRequest,
    request_info: RequestInfo,
    form: Anonymous<LinkForm<SetupForm>>,
) -> Result<HttpResponse, ApiError> {
    let Anonymous(LinkForm(form)) = form;
    let page = OneTimePage { username: form.username.clone(), ..page(&app, &request, OneTimeUse::SetUp).await? };
    let Some(token) = Cookies::of(&app).read(&request, CookieUse::OneTimeToken) else {
        return answer(StatusCode::GONE, &page);
    };
    if !are_same(&form.new_password, &form.new_password_again) {
        return not_same(page);
    }
    let Ok(username) = Username::new(&form.username) else {
        let wrong_username = Some(page.frame.text("setup-name-wrong"));
        return answer(StatusCode::UNPROCESSABLE_ENTITY, &OneTimePage { wrong_username, ..page });
    };
    let context = request_info.context(Actor::system("setup"));
    if let Err(error) = app.users.set_up(&token, username, form.new_password.clone(), context).await {
        return refused(&app, page, error);
    }
    let credentials = Credentials {
        username: form.username,
        password: form.new_password,
        client: LoginClient::Unnamed,
        device: None,
        client_info: request_info.client_info,
        system: request_info.system,
        request_id: request_info.request_id,
    };
    app.remove_setup_token();
    let login = app.sessions.log_in_by_cookie(credentials).await?;
    let mut response = logged_in(&app, &login, &format!("{}/account", base(&app)))?;
    forget_token(&app, &mut response)?;
    Ok(response)
}

/// Sets a new password. All sessions end, and nobody is logged in.
pub(super) async fn reset(
    app: web::Data<App>,
    request: HttpRequest,
    request_info: RequestInfo,
    form: Anonymous<LinkForm<ResetForm>>,
) -> Result<HttpResponse, ApiError> {
    let Anonymous(LinkForm(form)) = form;
    let page = page(&app, &request, OneTimeUse::Reset).await?;
    let Some(token) = Cookies::of(&app).read(&request, CookieUse::OneTimeToken) else {
        return answer(StatusCode::GONE, &page);
    };
    if !are_same(&form.new_password, &form.new_password_again) {
        return not_same(page);
    }
    let context = request_info.context(Actor::system("reset"));
    if let Err(error) = app.users.reset_password(&token, &form.new_password, context).await {
        return refused(&app, page, error);
    }
    let mut response = see_other(&format!("{}/login?why=password-set", base(&app)));
    forget_token(&app, &mut response)?;
    Ok(response)
}

async fn page(app: &web::Data<App>, request: &HttpRequest, use_: OneTimeUse) -> Result<OneTimePage, ApiError> {
    let token = Cookies::of(app).read(request, CookieUse::OneTimeToken);
    let awaits_link = token.is_none() && use_ == OneTimeUse::SetUp && app.users.is_empty().await?;
    let link_token = match token {
        Some(token) if app.users.is_good_token(&token, use_).await? => Some(link_token(app, &token)),
        _ => None,
    };
    Ok(OneTimePage {
        frame: Frame::new(app, request),
        is_setup: use_ == OneTimeUse::SetUp,
        link_token,
        awaits_link,
        username: String::new(),
        min_length: min_length(app),
        wrong_username: None,
        wrong_new: None,
    })
}

fn are_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

fn not_same(page: OneTimePage) -> Result<HttpResponse, ApiError> {
    let wrong_new = Some(page.frame.text("password-not-same"));
    answer(StatusCode::UNPROCESSABLE_ENTITY, &OneTimePage { wrong_new, ..page })
}

fn refused(app: &App, page: OneTimePage, error: OneTimeTokenError) -> Result<HttpResponse, ApiError> {
    match error {
        OneTimeTokenError::User(UserError::Unacceptable(reason)) => {
            let wrong_new = Some(unacceptable(&page.frame, &reason));
            answer(StatusCode::UNPROCESSABLE_ENTITY, &OneTimePage { wrong_new, ..page })
        }
        OneTimeTokenError::User(UserError::NameTaken) => {
            let wrong_username = Some(page.frame.text("setup-name-taken"));
            answer(StatusCode::CONFLICT, &OneTimePage { wrong_username, ..page })
        }
        OneTimeTokenError::User(error) => Err(error.into()),
        OneTimeTokenError::Malformed
        | OneTimeTokenError::Invalid
        | OneTimeTokenError::AlreadySetUp
        | OneTimeTokenError::Expired => {
            let mut response = answer(StatusCode::GONE, &OneTimePage { link_token: None, ..page })?;
            forget_token(app, &mut response)?;
            Ok(response)
        }
    }
}

/// Takes the token of a link away again.
pub(super) fn forget_token(app: &App, response: &mut HttpResponse) -> Result<(), ApiError> {
    response.add_cookie(&Cookies::of(app).remove(CookieUse::OneTimeToken)).map_err(|_| ApiError::Unavailable)
}
