//! Where the link in a mail about a new device leads: "this was not me". Asking for the page changes nothing, since mail
//! scanners follow links; its button does. Where there are pages (`[console] enabled`), one of them asks (`pages::not_me`).

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use actix_web::{HttpResponse, get, post, web};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::config::Language;
use crate::http::authenticate::RequestInfo;
use crate::http::authenticated_body::Anonymous;
use crate::http::error::ApiError;
use crate::http::input::{Form, Given, Query};
use crate::http::pages::{not_me, one_time};
use crate::http::problems::{BadBody, BadQuery, PageRefused};
use crate::model::secret::{Secret, SecretKind};
use crate::model::session::Actor;
use crate::user::password::OneTimeTokenError;

/// The page loads nothing and may send its form back here only.
const POLICY: &str = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The token of the link.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NotMeQuery {
    /// `vgt_` and more.
    #[param(value_type = String, pattern = "^vgt_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: SecretString,
}

/// The token of the form.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotMeForm {
    /// `vgt_` and more.
    #[schema(value_type = String)]
    token: SecretString,
}

/// What a page says.
#[derive(Debug, Clone, Copy)]
enum Told {
    Done,
    NotWhole,
    Over,
}

impl Told {
    const fn status(self) -> StatusCode {
        match self {
            Self::Done => StatusCode::OK,
            Self::NotWhole => StatusCode::BAD_REQUEST,
            Self::Over => StatusCode::GONE,
        }
    }

    const fn text(self, language: Language) -> (&'static str, &'static str) {
        match (self, language) {
            (Self::Done, Language::En) => (
                "Your account is safe",
                "All sessions are over and the password no longer logs in. Ask an administrator for the means to set another.",
            ),
            (Self::Done, Language::Fr) => (
                "Votre compte est protégé",
                "Toutes les sessions ont pris fin et le mot de passe ne permet plus de se connecter. Demandez à un administrateur le moyen d'en choisir un autre.",
            ),
            (Self::NotWhole, Language::En) => {
                ("The address is not whole", "Copy all of it from the mail. Nothing has been changed.")
            }
            (Self::NotWhole, Language::Fr) => {
                ("L'adresse est incomplète", "Copiez-la entièrement depuis le message. Rien n'a été changé.")
            }
            (Self::Over, Language::En) => (
                "The address no longer works",
                "It has been used, or its time is over. If you still need help, ask an administrator.",
            ),
            (Self::Over, Language::Fr) => (
                "L'adresse ne fonctionne plus",
                "Elle a déjà servi, ou son délai est passé. Au besoin, adressez-vous à un administrateur.",
            ),
        }
    }

    fn answer(self, language: Language) -> HttpResponse {
        let (title, text) = self.text(language);
        let body = format!(include_str!("pages/answer.html"), language = language, title = title, text = text);
        page(self.status(), body)
    }
}

fn page(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(body)
}

/// Show the page that asks whether a login was not one's own. Changes nothing.
#[utoipa::path(
    operation_id = "ask_not_me", tag = "people", params(NotMeQuery),
    responses(
        (status = 303, description = "Where there are pages: the one that asks. The token moves to a cookie"),
        (status = 200, description = "Where there are none (`[console] enabled = false`): the page", body = String, content_type = "text/html"),
        (status = 400, description = "The address is not whole", body = String, content_type = "text/html"),
        BadQuery,
    )
)]
#[get("/auth/not-me")]
pub async fn confirm_report(app: web::Data<App>, query: Given<Query<NotMeQuery>>) -> Result<HttpResponse, ApiError> {
    let (Query(query), language) = (query?, app.config.mail.language);
    if app.config.console.enabled {
        return one_time::follow_link(&app, &query.token, not_me::PATH);
    }
    let Ok(secret) = Secret::parse(SecretKind::OneTimeToken, query.token.expose_secret()) else {
        return Ok(Told::NotWhole.answer(language));
    };
    // Written anew from its bytes: what stands in the page is ours.
    let token = secret.reveal(SecretKind::OneTimeToken);
    let body = match language {
        Language::En => format!(include_str!("pages/not_me.en.html"), token = token),
        Language::Fr => format!(include_str!("pages/not_me.fr.html"), token = token),
    };
    Ok(page(StatusCode::OK, body))
}

/// Say that a login was not one's own: all sessions end, and the password logs in no more.
#[utoipa::path(
    operation_id = "say_not_me", tag = "people", request_body(content = NotMeForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Done", body = String, content_type = "text/html"),
        (status = 410, description = "Used, or its time is over", body = String, content_type = "text/html"),
        PageRefused, BadBody,
    )
)]
#[post("/auth/not-me")]
pub async fn report(
    app: web::Data<App>,
    request_info: RequestInfo,
    form: Anonymous<Form<NotMeForm>>,
) -> Result<HttpResponse, ApiError> {
    let (Anonymous(Form(form)), language) = (form, app.config.mail.language);
    match app
        .users
        .report_unrecognised_login(form.token.expose_secret(), request_info.context(Actor::system("not_me")))
        .await
    {
        Ok(()) => Ok(Told::Done.answer(language)),
        Err(OneTimeTokenError::Malformed | OneTimeTokenError::Invalid | OneTimeTokenError::Expired) => {
            Ok(Told::Over.answer(language))
        }
        Err(error) => Err(error.into()),
    }
}
