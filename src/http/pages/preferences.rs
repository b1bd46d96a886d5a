//! `/preferences`: the language and the time zone that a reader chooses.

use actix_web::{HttpResponse, web};
use chrono_tz::Tz;
use serde::Deserialize;

use super::cookies::{CookieUse, Cookies};
use super::form::OpenForm;
use super::frame::base;
use super::return_to::{self, ReturnTo};
use super::see_other;
use crate::app::App;
use crate::config::Language;
use crate::http::authenticated_body::Anonymous;
use crate::http::error::ApiError;

/// The form at the foot of each page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreferencesForm {
    language: Option<String>,
    time_zone: Option<String>,
    #[serde(default, deserialize_with = "return_to::lenient")]
    return_to: Option<ReturnTo>,
}

/// Notes the choice in the browser, and shows the page again.
pub(super) async fn set(
    app: web::Data<App>,
    form: Anonymous<OpenForm<PreferencesForm>>,
) -> Result<HttpResponse, ApiError> {
    let Anonymous(OpenForm(form)) = form;
    let language = form.language.map(|word| word.parse::<Language>()).transpose();
    let language = language.map_err(|error| ApiError::invalid("/language", error))?;
    let time_zone = form.time_zone.map(|name| name.parse::<Tz>()).transpose();
    let time_zone = time_zone.map_err(|_| ApiError::invalid("/time_zone", "is not a time zone"))?;
    let here = form.return_to.as_ref().map_or("/", ReturnTo::as_str);
    let (cookies, mut response) = (Cookies::of(&app), see_other(&format!("{}{here}", base(&app))));
    let chosen = [
        language.map(|language| cookies.set(CookieUse::Language, language.as_str().to_owned())),
        time_zone.map(|zone| cookies.set(CookieUse::TimeZone, zone.name().to_owned())),
    ];
    for cookie in chosen.iter().flatten() {
        response.add_cookie(cookie).map_err(|_| ApiError::Unavailable)?;
    }
    Ok(response)
}
