//! `/privacy`: what is recorded, why, for how long, and who reads it (PRV-03).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::answer;
use super::caller::PageCaller;
use super::frame::Frame;
use crate::app::App;
use crate::config::Months;
use crate::http::error::ApiError;

#[derive(Template)]
#[template(path = "privacy.html")]
struct PrivacyPage {
    frame: Frame,
    /// How long it is kept, as the configuration says it.
    sessions: String,
    attempts: String,
    events: String,
    addresses: String,
    /// The domain of the gate's cookie, where there is a gate.
    gate_domain: Option<String>,
}

/// Shows the page to everybody.
pub(super) async fn show(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Result<PageCaller, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let frame = match caller {
        Ok(PageCaller(caller)) => Frame::of(&app, &request, &caller).await?,
        Err(_) => Frame::new(&app, &request),
    };
    let kept = &app.config.retention;
    let period = |Months(months)| frame.count("months", i64::from(months));
    let page = PrivacyPage {
        sessions: period(kept.sessions),
        attempts: period(kept.attempts),
        events: period(kept.audit),
        addresses: period(kept.addresses),
        gate_domain: Some(app.config.gate.cookie_domain.clone()).filter(|domain| !domain.is_empty()),
        frame,
    };
    answer(StatusCode::OK, &page)
}
