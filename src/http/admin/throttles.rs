//! What failed logins cost whom now: list, lift.

use actix_web::{HttpResponse, delete, get, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use utoipa::IntoParams;

use super::filter_query::Filtered;
use super::member::ThrottleState;
use crate::app::App;
use crate::http::authenticate::{Admin, Reviewer};
use crate::http::error::ApiError;
use crate::http::input::Given;
use crate::http::paging::{List, PageOptions, Pager, Place, time_from, time_key};
use crate::http::problems::{BadQuery, NotFound, Refused};
use crate::model::filter::Text;
use crate::model::user::User;
use crate::store::throttles::{Position, ThrottleFilter, ThrottleRow, ThrottleScope};
use crate::view::ThrottleObject;

const PAGER: Pager = Pager("throttles");

/// Which throttles. All members together; one that is left out leaves nothing out, but `state` means `closed`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ThrottleMembers {
    /// Those that refuse tries now, or all that count failures; `closed` unless said otherwise.
    #[param(inline)]
    state: Option<ThrottleState>,
    /// Of this scope.
    #[param(inline)]
    scope: Option<ThrottleScope>,
    /// Of the account of the user with this id or name.
    #[param(inline)]
    user: Option<Text>,
}

impl Place for Position {
    fn keys(&self) -> Vec<String> {
        vec![time_key(self.last_failure_at), URL_SAFE_NO_PAD.encode(self.subject)]
    }

    fn of_keys(keys: &[&str]) -> Option<Self> {
        let [at, subject] = keys else { return None };
        let subject = URL_SAFE_NO_PAD.decode(subject).ok()?.try_into().ok()?;
        Some(Self { last_failure_at: time_from(at)?, subject })
    }
}

/// List what is throttled, the newest failure first.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(ThrottleMembers, PageOptions),
    responses((status = 200, description = "A page of throttles", body = List<ThrottleObject>), Refused, BadQuery)
)]
#[get("/admin/throttles")]
pub async fn list_throttles(
    _reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<ThrottleMembers, PageOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let (after, limit) = PAGER.asked(options.limit, options.cursor.as_deref())?;
    let user = match &filter.user {
        None => None,
        Some(user) => match app.users.find_by_id_or_name(&user.0).await? {
            Some(User { id, .. }) => Some(id),
            None => return Ok(HttpResponse::Ok().json(List::<ThrottleObject> { items: vec![], next_cursor: None })),
        },
    };
    let only_closed = filter.state != Some(ThrottleState::All);
    let wanted = ThrottleFilter { scope: filter.scope, user_id: user, closed_at: None };
    let page = app.authentication.throttles(wanted, only_closed, after, limit).await?;
    let now = app.clock.now();
    let show = |row: &ThrottleRow| ThrottleObject::new(row, app.authentication.is_locked(row), now);
    Ok(HttpResponse::Ok().json(PAGER.list(&page, show)))
}

/// Lift a throttle: its failures are forgotten.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The throttle")),
    responses((status = 204, description = "It is lifted"), Refused, NotFound)
)]
#[delete("/admin/throttles/{id}")]
pub async fn lift_throttle(admin: Admin, app: web::Data<App>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let id = id.parse().map_err(|_| ApiError::NotFound)?;
    let lifted = app.users.lift_throttle(id, &admin.context()).await?;
    if lifted { Ok(HttpResponse::NoContent().finish()) } else { Err(ApiError::NotFound) }
}
