//! Reads a list page by page, as far as it is wanted.

use super::outcome::Outcome;
use crate::store::{Page, StoreError};

/// Rows read at a time.
const PAGE: usize = 500;

/// The first rows of a list, at most `most` of them, and whether more follow. `read` gives the page after a place, of at most so
/// many rows.
pub(super) async fn read<T, P>(
    most: usize,
    mut read: impl AsyncFnMut(Option<P>, i64) -> Result<Page<T, P>, StoreError>,
) -> Outcome<(Vec<T>, bool)> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let limit = i64::try_from(PAGE.min(most - rows.len())).unwrap_or(i64::MAX);
        let page = read(after, limit).await?;
        rows.extend(page.items);
        after = page.next;
        if after.is_none() || rows.len() >= most {
            return Ok((rows, after.is_some()));
        }
    }
}

/// All rows of a list.
pub(super) async fn all<T, P>(
    read_page: impl AsyncFnMut(Option<P>, i64) -> Result<Page<T, P>, StoreError>,
) -> Outcome<Vec<T>> {
    Ok(read(usize::MAX, read_page).await?.0)
}
