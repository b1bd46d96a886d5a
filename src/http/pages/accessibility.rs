//! `/accessibility`: the declaration of accessibility (law 2005-102 art. 47, decree 2019-768), made from the grid (A11Y-06).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use chrono::Datelike as _;
use fluent_bundle::FluentArgs;

use super::answer;
use super::caller::PageCaller;
use super::frame::Frame;
use super::language::Texts;
use super::rgaa::{Counts, Grid};
use crate::app::App;
use crate::config::Contact;
use crate::http::error::ApiError;

/// What the pages are called that were assessed.
const PAGES: [&str; 14] = [
    "login-title",
    "setup-title",
    "reset-title",
    "account-title",
    "sessions-title",
    "attempts-title",
    "password-title",
    "export-title",
    "logout-title",
    "console-sessions-title",
    "accessibility-console-session",
    "end-title",
    "privacy-title",
    "accessibility-title",
];

#[derive(Template)]
#[template(path = "accessibility.html")]
struct AccessibilityPage {
    frame: Frame,
    grid: &'static Grid,
    /// The sentence that names the state.
    state: String,
    /// How many of the criteria that apply are met.
    result: String,
    /// The day of the assessment, for people.
    established: String,
    contact: Option<Contact>,
    /// The address of the scheme of several years.
    scheme: Option<String>,
    /// The public address of these pages.
    address: String,
}

/// Shows the declaration to everybody.
pub(super) async fn show(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Result<PageCaller, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let frame = match caller {
        Ok(PageCaller(caller)) => Frame::of(&app, &request, &caller).await?,
        Err(_) => Frame::new(&app, &request),
    };
    let grid = Grid::get();
    let counts = grid.counts();
    let (console, public) = (&app.config.console, &app.config.server.public_url);
    let page = AccessibilityPage {
        grid,
        state: frame.text(counts.conformity().sentence()),
        result: result(&frame, counts),
        established: day(&frame, grid.established),
        contact: console.accessibility_contact.clone(),
        scheme: console.accessibility_scheme.as_ref().map(ToString::to_string),
        address: public.to_string(),
        frame,
    };
    answer(StatusCode::OK, &page)
}

fn result(frame: &Frame, counts: Counts) -> String {
    let mut values = FluentArgs::new();
    values.set("percentage", counts.percentage());
    values.set("met", counts.met);
    values.set("applicable", counts.met + counts.not_met);
    Texts::of(frame.language).get("accessibility-result", Some(&values))
}

fn day(frame: &Frame, day: chrono::NaiveDate) -> String {
    let texts = Texts::of(frame.language);
    let mut values = FluentArgs::new();
    values.set("month", day.month());
    let month = texts.get("month", Some(&values));
    let mut values = FluentArgs::new();
    values.set("day", day.day());
    values.set("month", month);
    values.set("year", day.year().to_string());
    texts.get("exact-day", Some(&values))
}
