//! `/account/password`: another password, by whoever knows the one that there is.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::caller::PageCaller;
use super::cookies::{Cookies, add};
use super::form::PageForm;
use super::frame::{Frame, base};
use super::half_filled::Refill;
use super::{answer, see_other};
use crate::app::App;
use crate::authentication::password::AuthenticationError;
use crate::credential::password::Unacceptable;
use crate::http::authenticate::Caller;
use crate::http::authenticated_body::Authenticated;
use crate::http::error::ApiError;
use crate::http::input::parse_query;
use crate::user::UserError;
use crate::user::password::{ChangePasswordError, PasswordChange};

#[derive(Debug, Default, Deserialize)]
struct PasswordQuery {
    why: Option<String>,
}

/// The form: the new password twice, since nobody sees it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordForm {
    current_password: SecretString,
    new_password: SecretString,
    new_password_again: SecretString,
}

impl Refill for PasswordForm {
    const MEMBERS: Option<&'static [&'static str]> = Some(&[]);
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    frame: Frame,
    username: String,
    is_required: bool,
    is_done: bool,
    min_length: i64,
    /// What is wrong with the password that there is.
    wrong_current: Option<String>,
    /// What is wrong with the new one.
    wrong_new: Option<String>,
}

/// Shows the form.
pub(super) async fn show(
    PageCaller(caller): PageCaller,
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query: PasswordQuery = parse_query(request.query_string()).unwrap_or_default();
    let page = PasswordPage { is_done: query.why.as_deref() == Some("done"), ..page(&app, &request, &caller).await? };
    answer(StatusCode::OK, &page)
}

/// Sets the password. All other sessions end; this one goes on with another cookie.
pub(super) async fn change(
    asked: Authenticated<PageCaller, PageForm<PasswordForm>>,
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(PageCaller(caller), PageForm(form)) = asked;
    let page = page(&app, &request, &caller).await?;
    if form.new_password.expose_secret() != form.new_password_again.expose_secret() {
        let wrong_new = Some(page.frame.text("password-not-same"));
        return answer(StatusCode::UNPROCESSABLE_ENTITY, &PasswordPage { wrong_new, ..page });
    }
    let request_info = caller.request_info();
    let change = PasswordChange {
        user_id: caller.checked.user_id,
        session_id: caller.checked.session_id,
        current: form.current_password,
        new: form.new_password,
        context: caller.context(),
        client_info: request_info.client_info,
        request_id: request_info.request_id,
    };
    match app.users.change_password_by_cookie(change).await {
        Ok(cookie) => {
            let mut response = see_other(&format!("{}/account/password?why=done", base(&app)));
            add(&mut response, &Cookies::of(&app).of_session(&app, &cookie))?;
            Ok(response)
        }
        Err(ChangePasswordError::Authentication(AuthenticationError::InvalidCredentials)) => {
            let wrong_current = Some(page.frame.text("password-wrong"));
            answer(StatusCode::UNPROCESSABLE_ENTITY, &PasswordPage { wrong_current, ..page })
        }
        Err(ChangePasswordError::User(UserError::Unacceptable(reason))) => {
            let wrong_new = Some(unacceptable(&page.frame, &reason));
            answer(StatusCode::UNPROCESSABLE_ENTITY, &PasswordPage { wrong_new, ..page })
        }
        Err(error) => Err(error.into()),
    }
}

async fn page(app: &web::Data<App>, request: &HttpRequest, caller: &Caller) -> Result<PasswordPage, ApiError> {
    Ok(PasswordPage {
        frame: Frame::of(app, request, caller).await?,
        username: caller.checked.user.username.as_str().to_owned(),
        is_required: caller.checked.user.must_change_password,
        is_done: false,
        min_length: min_length(app),
        wrong_current: None,
        wrong_new: None,
    })
}

/// How many characters a password must have.
pub(super) fn min_length(app: &App) -> i64 {
    i64::try_from(app.config.passwords.min_length).unwrap_or(i64::MAX)
}

/// Why a new password is not accepted, in the words of the page.
pub(super) fn unacceptable(frame: &Frame, reason: &Unacceptable) -> String {
    match reason {
        Unacceptable::TooShort { min } => frame.count("password-too-short", i64::try_from(*min).unwrap_or(i64::MAX)),
        Unacceptable::TooLong => frame.text("password-too-long"),
        Unacceptable::Listed => frame.text("password-listed"),
        Unacceptable::Common => frame.text("password-common"),
        Unacceptable::Context => frame.text("password-context"),
        Unacceptable::Sequence => frame.text("password-sequence"),
        Unacceptable::Repetitive => frame.text("password-repetitive"),
        Unacceptable::Unchanged => frame.text("password-unchanged"),
    }
}
