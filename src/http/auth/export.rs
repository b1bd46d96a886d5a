//! All that is kept about oneself, as a file.

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, get, web};
use futures_util::stream::{self, StreamExt as _};

use crate::app::App;
use crate::http::authenticate::Caller;
use crate::http::error::ApiError;
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
    let mut export = app.history.export_own(caller.checked.user_id, &caller.context()).await?;
    // The first piece before the status line: a store that cannot be asked is a 503.
    let first = export.next().await?.unwrap_or_default();
    let rest = stream::try_unfold(export, |mut export| async {
        let piece = export.next().await.inspect_err(|error| {
            tracing::error!(cause = %error, "export aborted");
        })?;
        Ok::<_, crate::store::StoreError>(piece.map(|piece| (Bytes::from(piece), export)))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"my-history.ndjson\""))
        .streaming(stream::once(std::future::ready(Ok(Bytes::from(first)))).chain(rest)))
}
