//! `/account/export`: all that is kept about oneself, as a file.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::answer;
use super::caller::PageCaller;
use super::form::PageForm;
use super::frame::Frame;
use super::logout::Button;
use crate::app::App;
use crate::http::authenticated_body::Authenticated;
use crate::http::error::ApiError;
use crate::http::export;

#[derive(Template)]
#[template(path = "export.html")]
struct ExportPage {
    frame: Frame,
}

/// Says what the file holds.
pub(super) async fn show(
    caller: PageCaller,
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    answer(StatusCode::OK, &ExportPage { frame: Frame::of(&app, &request, &caller.0).await? })
}

/// Answers the file.
pub(super) async fn download(
    asked: Authenticated<PageCaller, PageForm<Button>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(PageCaller(caller), _) = asked;
    let own = app.history.export_own(caller.checked.user_id, &caller.context()).await?;
    export::answer(own, "my-history").await
}
