//! Everybody's tries to log in: find, export.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::export;
use super::member::{Moment, Network, Text};
use super::query::{ExportOptions, Filtered, PageOptions, described};
use crate::app::App;
use crate::audit::export::Selection;
use crate::authentication::Authentication;
use crate::http::authenticate::Reviewer;
use crate::http::error::ApiError;
use crate::http::input::Given;
use crate::http::paging::list;
use crate::http::paging::{self, List};
use crate::http::problems::{BadQuery, Refused};
use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::store::attempts::{AttemptFilter, Position};
use crate::view::AttemptObject;

/// The list that cursors belong to.
const LIST: &str = "attempts";

/// Which attempts. All members together; one that is left out leaves nothing out.
#[derive(Debug, Deserialize, Serialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttemptMembers {
    /// On the user with this id, or under this name.
    #[param(inline)]
    user: Option<Text>,
    /// Under this name. One that no user has is found as well, though it is shown masked.
    #[param(inline)]
    username: Option<Text>,
    /// From this address or network.
    #[param(inline)]
    ip: Option<Network>,
    /// With this outcome.
    #[param(inline)]
    outcome: Option<AttemptOutcome>,
    /// At this moment or later.
    #[param(inline)]
    from: Option<Moment>,
    /// Before this moment.
    #[param(inline)]
    to: Option<Moment>,
}

impl AttemptMembers {
    fn filter(&self, authentication: &Authentication) -> AttemptFilter {
        let user = self.user.as_ref().map(Text::user);
        let username = self.username.as_ref().map(|name| name.0.as_str());
        let names = user.and_then(Result::err).into_iter().chain(username);
        AttemptFilter {
            user_id: user.and_then(Result::ok),
            usernames: names
                .map(|name| authentication.attempt_names(name))
                .reduce(|names, others| common(names, &others)),
            network: self.ip.map(|network| network.0),
            outcome: self.outcome,
            from: self.from.map(|from| from.0),
            to: self.to.map(|to| to.0),
        }
    }
}

fn common(mut names: Vec<String>, others: &[String]) -> Vec<String> {
    names.retain(|name| others.contains(name));
    names
}

fn position(cursor: Option<&str>) -> Result<Option<Position>, ApiError> {
    let Some([at, id]) = paging::keys(LIST, cursor)? else { return Ok(None) };
    Ok(Some(Position { at: paging::time_from(&at)?, id: paging::key_from(&id)? }))
}

/// Find tries to log in, newest first.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(AttemptMembers, PageOptions),
    responses((status = 200, description = "A page of attempts", body = List<AttemptObject>), Refused, BadQuery)
)]
#[get("/admin/attempts")]
pub async fn find_attempts(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<AttemptMembers, PageOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let limit = paging::limit(options.limit)?;
    let after = position(options.cursor.as_deref())?;
    let wanted = filter.filter(&app.authentication);
    let page = app.history.attempts(wanted, after, limit, described(&filter), &reviewer.context()).await?;
    let cursor = |last: &Attempt| paging::cursor(LIST, &[&paging::time_key(last.at), &last.id.to_string()]);
    Ok(HttpResponse::Ok().json(list(&page, AttemptObject::from, cursor)))
}

/// Export tries to log in as CSV, NDJSON or OCSF events, all that match.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(AttemptMembers, ExportOptions),
    responses(
        (status = 200, description = "Every attempt that matches", content(
            (String = "text/csv; charset=utf-8; header=present"), (String = "application/x-ndjson"),
        )),
        Refused, BadQuery,
    )
)]
#[get("/admin/attempts/export")]
pub async fn export_attempts(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<AttemptMembers, ExportOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let form = options.form()?;
    let selection = Selection::Attempts(filter.filter(&app.authentication));
    let (described, context) = (described(&filter), reviewer.context());
    let export = app.history.export(selection, form, described, options.purpose, &context).await?;
    export::answer(export, "attempts", form.format()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_together_mean_what_both_mean() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(common(names(&["a", "a…1"]), &names(&["a", "a…1"])), names(&["a", "a…1"]));
        assert!(common(names(&["a", "a…1"]), &names(&["b", "b…2"])).is_empty());
    }
}
