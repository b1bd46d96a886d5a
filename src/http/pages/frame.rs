//! What stands around every page, and what templates ask for: texts, times, addresses.

use std::borrow::Borrow;

use actix_web::{HttpRequest, web};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use fluent_bundle::FluentArgs;

use super::assets::Assets;
use super::cookies::{CookieUse, Cookies};
use super::current_page::current_page;
use super::form::form_token;
use super::half_filled::HalfFilled;
use super::language::{Texts, language};
use super::moment::Moment;
use super::rgaa::Grid;
use crate::app::App;
use crate::config::Language;
use crate::http::authenticate::Caller;
use crate::http::error::ApiError;
use crate::model::user::Permissions;

/// Where French administrations are.
const ZONES: [&str; 12] = [
    "Europe/Paris",
    "America/Cayenne",
    "America/Guadeloupe",
    "America/Martinique",
    "America/Miquelon",
    "Indian/Kerguelen",
    "Indian/Mayotte",
    "Indian/Reunion",
    "Pacific/Noumea",
    "Pacific/Tahiti",
    "Pacific/Wallis",
    "UTC",
];

/// Where the console begins.
const CONSOLE: &str = "/console";

/// When a session ends unless it is used before.
pub(super) struct IdleEnd {
    /// The time of day.
    pub at: Moment,
    /// How far away it is, in seconds.
    pub seconds: i64,
    /// Whether a use moves it: not where the lifetime ends then.
    pub can_be_extended: bool,
}

impl IdleEnd {
    fn new(at: DateTime<Utc>, expires_at: DateTime<Utc>, frame: &Frame) -> Self {
        Self { at: frame.moment(at), seconds: (at - frame.now).num_seconds().max(0), can_be_extended: at < expires_at }
    }
}

/// Everything that each page has.
pub(super) struct Frame {
    /// The language of the page.
    pub language: Language,
    /// What the service is called.
    pub name: String,
    /// The path of the public address, before each of ours.
    pub base: String,
    /// The user's name, where somebody is logged in.
    pub username: Option<String>,
    /// What each form must hold where somebody is logged in.
    pub form_token: Option<String>,
    /// The path and query of this page: where a change of the language comes back to.
    pub here: String,
    /// The names of the style sheet, of the script and, if there is one, of the logo.
    pub assets: web::Data<Assets>,
    /// When this session ends unless it is used before, where somebody is logged in.
    pub idle: Option<IdleEnd>,
    /// Whether the reader may read other people's history.
    pub has_console: bool,
    /// The form of this page that was sent when its session was over.
    pub again: Option<HalfFilled>,
    /// The zone of all times.
    pub zone: Tz,
    now: DateTime<Utc>,
}

impl Frame {
    /// Of a page that anybody sees.
    pub fn new(app: &web::Data<App>, request: &HttpRequest) -> Self {
        let console = &app.config.console;
        let zone = Cookies::of(app).read(request, CookieUse::TimeZone).and_then(|name| name.parse().ok());
        Self {
            language: language(app, request),
            name: if console.name.is_empty() { "Vigie".to_owned() } else { console.name.clone() },
            base: base(app),
            username: None,
            form_token: form_token(app, request),
            here: current_page(request).to_owned(),
            assets: request
                .app_data::<web::Data<Assets>>()
                .cloned()
                .expect("the routes of pages come with their assets"),
            idle: None,
            has_console: false,
            again: None,
            zone: zone.unwrap_or(console.time_zone),
            now: app.clock.now(),
        }
    }

    /// Of a page for somebody who is logged in.
    pub async fn of(app: &web::Data<App>, request: &HttpRequest, caller: &Caller) -> Result<Self, ApiError> {
        let current = app.sessions.current(&caller.checked, caller.address()).await?.ok_or(ApiError::SessionEnded)?;
        let frame = Self::new(app, request);
        Ok(Self {
            username: Some(caller.checked.user.username.as_str().to_owned()),
            idle: Some(IdleEnd::new(current.idle_expires_at, current.session.expires_at(), &frame)),
            has_console: caller.permissions.auditor,
            again: HalfFilled::of(app, request, caller.checked.user_id),
            ..frame
        })
    }

    /// The text of this name.
    pub fn text(&self, name: &str) -> String {
        Texts::of(self.language).get(name, None)
    }

    /// The text of this name, with a value in it.
    pub fn with(&self, name: &str, value_name: &str, value: &str) -> String {
        let mut values = FluentArgs::new();
        values.set(value_name.to_owned(), value.to_owned());
        Texts::of(self.language).get(name, Some(&values))
    }

    /// The text of this name, with several values in it.
    pub fn with_all(&self, name: &str, values: &[(&str, &str)]) -> String {
        let mut all = FluentArgs::new();
        for (value_name, value) in values {
            all.set((*value_name).to_owned(), (*value).to_owned());
        }
        Texts::of(self.language).get(name, Some(&all))
    }

    /// The text of this name, with a number in it.
    pub fn count(&self, name: &str, count: impl Borrow<i64>) -> String {
        let mut values = FluentArgs::new();
        values.set("count", *count.borrow());
        Texts::of(self.language).get(name, Some(&values))
    }

    /// How accessible the pages are, as the law wants it to be said on each (decree 2019-768, art. 5).
    pub fn accessibility(&self) -> String {
        self.text(Grid::get().counts().conformity().footer())
    }

    /// The pages of one's own, and the console for whoever may read there: their paths and what they are called.
    pub fn menu(&self) -> Vec<(&'static str, String)> {
        let mut menu = vec![
            ("/account", self.text("nav-account")),
            ("/account/sessions", self.text("nav-sessions")),
            ("/account/attempts", self.text("nav-attempts")),
            ("/account/password", self.text("nav-password")),
            ("/account/export", self.text("nav-export")),
        ];
        if self.has_console {
            menu.push((CONSOLE, self.text("nav-console")));
        }
        menu
    }

    /// How an entry of the menu is marked: as this very page, or as the part that this page is in.
    pub fn mark(&self, path: &str) -> Option<&'static str> {
        let here = self.here.split('?').next().unwrap_or_default();
        let is_within = path == CONSOLE && here.strip_prefix(CONSOLE).is_some_and(|rest| rest.starts_with('/'));
        if here == path { Some("page") } else { is_within.then_some("true") }
    }

    /// The zones that a reader may choose: those of France, the one that is chosen, and UTC.
    pub fn zones(&self) -> Vec<&'static str> {
        let mut zones = ZONES.to_vec();
        if !zones.contains(&self.zone.name()) {
            zones.push(self.zone.name());
        }
        zones
    }

    /// A time.
    pub fn moment(&self, at: DateTime<Utc>) -> Moment {
        Moment::new(at, self.now, self.zone, Texts::of(self.language))
    }
}

/// The path of the public address, without a closing slash: a proxy may serve all this under a path of its own.
pub(super) fn base(app: &App) -> String {
    app.config.server.public_url.path().trim_end_matches('/').to_owned()
}

/// Where somebody has something to do: in the console whoever may read there, everybody else on the pages of their own.
pub(super) fn home(app: &App, permissions: Permissions) -> String {
    format!("{}{}", base(app), if permissions.auditor { CONSOLE } else { "/account" })
}

/// Where somebody chooses a password whose own was chosen by somebody else.
pub(super) fn password_page(app: &App) -> String {
    format!("{}/account/password?why=required", base(app))
}
