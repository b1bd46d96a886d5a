//! All that is kept about oneself, as a file.

use actix_web::{HttpResponse, get, web};

use crate::app::App;
use crate::http::authenticate::Caller;
use crate::http::error::ApiError;
use crate::http::export::answer;
use crate::http::problems::{CallerRefused, PasswordChangeFirst};

/// All that is kept about me: my account, my sessions and what happened in them, tries on my account, events about it. One
/// JSON object a line, with one member that says what it is: `user`, `session`, `attempt` or `event`.
#[utoipa::path(
    tag = "people", security(("bearer" = [])),
    responses(
        (status = 200, description = "One JSON object a line", body = String, content_type = "application/x-ndjson"),
        CallerRefused, PasswordChangeFirst,
    )
)]
#[get("/auth/export")]
pub async fn export(caller: Caller, app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let own = app.history.export_own(caller.checked.user_id, &caller.context()).await?;
    answer(own, "my-history").await
}
