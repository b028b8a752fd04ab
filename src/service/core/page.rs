//! Pages: one row more is read than is shown, to see whether there is another page.
//!
//! Owns the cut. Must never count rows.

/// Takes away what was read to see whether there is more; the last of the others, if there is.
pub(in crate::service) fn cut<T>(rows: &mut Vec<T>, limit: i64) -> Option<&T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more)
}
