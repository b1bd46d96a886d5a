//! `/`: to the console, to one's own pages or, by way of the error, to the login page; in a new installation to the set-up.

use actix_web::{HttpResponse, web};

use super::caller::PageCaller;
use super::frame::{base, home};
use super::see_other;
use crate::app::App;
use crate::http::error::ApiError;

/// Leads to where the reader has something to do.
pub(super) async fn show(caller: Result<PageCaller, ApiError>, app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    match caller {
        Ok(PageCaller(caller)) => Ok(see_other(&home(&app, caller.permissions))),
        Err(_) if app.users.is_empty().await? => Ok(see_other(&format!("{}/setup", base(&app)))),
        Err(error) => Err(error),
    }
}
