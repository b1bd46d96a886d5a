//! Streams an export. Its first piece is made before the status line, so that a store that cannot be asked is a 503; a
//! later fault breaks the answer off, so that a short file is never taken for a whole one.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};

use super::error::ApiError;
use crate::audit::export::{Export, ExportFormat};
use crate::store::StoreError;

/// The answer that streams an export as a file of this name, without its ending.
pub(super) async fn answer(mut export: Export, name: &str) -> Result<HttpResponse, ApiError> {
    let format = export.format();
    let first = export.next().await?.unwrap_or_default();
    let pieces = stream::once(std::future::ready(Ok(Bytes::from(first)))).chain(rest(export));
    Ok(HttpResponse::Ok()
        .content_type(media_type(format))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{}\"", format.ending())))
        .streaming(pieces))
}

const fn media_type(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Csv => "text/csv; charset=utf-8; header=present",
        ExportFormat::Ndjson | ExportFormat::Ocsf => "application/x-ndjson",
    }
}

fn rest(export: Export) -> impl Stream<Item = Result<Bytes, StoreError>> {
    stream::try_unfold(export, |mut export| async {
        let piece = export.next().await.inspect_err(|error| {
            tracing::error!(cause = %error, "export aborted");
        })?;
        Ok(piece.map(|piece| (Bytes::from(piece), export)))
    })
}
