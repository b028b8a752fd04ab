//! Pages: a query reads one row more than a page shows, to see whether there is another page.
//!
//! Owns the cut. Must never count rows.

/// Removes the extra row. Returns the last row of the page if another page follows.
pub(in crate::service) fn cut<T>(rows: &mut Vec<T>, limit: i64) -> Option<&T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more)
}
