//! Filters and pages in the OpenAPI document: the fields with their forms.
//!
//! Owns nothing but words: [`super::filter`] reads them.

use utoipa::{IntoParams, ToSchema};

/// Which sessions: all given fields must match.
#[derive(Debug, ToSchema)]
#[schema(as = SessionFilter)]
#[expect(dead_code, reason = "for the document alone")]
pub struct SessionFilter {
    /// The user who owns them.
    user: Option<uuid::Uuid>,
    /// The address they were last used from, or a network such as 192.0.2.0/24.
    #[schema(example = "192.0.2.0/24")]
    ip: Option<String>,
    /// The address or network they were signed in from.
    #[schema(example = "2001:db8::/32")]
    sign_in_ip: Option<String>,
    /// The country they were signed in from or are used from now: either is enough.
    #[schema(example = "PT", pattern = "^[A-Za-z]{2}$")]
    country: Option<String>,
    /// The number of the network they were signed in from or are used from now. With a country: both of the same place.
    #[schema(example = 64496, minimum = 0, maximum = 4_294_967_295i64)]
    asn: Option<i64>,
    /// The browser's family, exactly as lists show it.
    #[schema(example = "Firefox", min_length = 1, max_length = 64)]
    browser: Option<String>,
    /// The system's family, exactly as lists show it.
    #[schema(example = "Windows", min_length = 1, max_length = 64)]
    os: Option<String>,
    /// They were issued before this.
    #[schema(format = DateTime)]
    created_before: Option<String>,
    /// They were issued at this moment or after it.
    #[schema(format = DateTime)]
    created_after: Option<String>,
    /// They were last used before this. Where no record tells the last use to the second, the latest use that the
    /// ledger may have missed (an eighth of the idle timeout, at most a minute) counts.
    #[schema(format = DateTime)]
    last_seen_before: Option<String>,
    /// They were last used at this moment or after it.
    #[schema(format = DateTime)]
    last_seen_after: Option<String>,
    /// Their signals weigh at least this much.
    #[schema(minimum = 0, maximum = 1_000_000)]
    risk: Option<i64>,
}

/// The matching sessions. Each field of the filter is a parameter of its own.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document alone")]
pub struct SessionSearch {
    /// The user who owns them.
    #[param(rename = "filter[user]")]
    user: Option<uuid::Uuid>,
    /// The address or network they were last used from.
    #[param(rename = "filter[ip]", example = "192.0.2.0/24")]
    ip: Option<String>,
    /// The address or network they were signed in from.
    #[param(rename = "filter[sign_in_ip]", example = "2001:db8::/32")]
    sign_in_ip: Option<String>,
    /// The country they were signed in from or are used from now: either is enough.
    #[param(rename = "filter[country]", example = "PT", pattern = "^[A-Za-z]{2}$")]
    country: Option<String>,
    /// The number of the network they were signed in from or are used from now. With a country: both of the same place.
    #[param(rename = "filter[asn]", minimum = 0, maximum = 4_294_967_295i64)]
    asn: Option<i64>,
    /// The browser's family, exactly as lists show it.
    #[param(rename = "filter[browser]", min_length = 1, max_length = 64)]
    browser: Option<String>,
    /// The system's family, exactly as lists show it.
    #[param(rename = "filter[os]", min_length = 1, max_length = 64)]
    os: Option<String>,
    /// They were issued before this.
    #[param(rename = "filter[created_before]", format = DateTime)]
    created_before: Option<String>,
    /// They were issued at this moment or after it.
    #[param(rename = "filter[created_after]", format = DateTime)]
    created_after: Option<String>,
    /// They were last used before this.
    #[param(rename = "filter[last_seen_before]", format = DateTime)]
    last_seen_before: Option<String>,
    /// They were last used at this moment or after it.
    #[param(rename = "filter[last_seen_after]", format = DateTime)]
    last_seen_after: Option<String>,
    /// Their signals weigh at least this much.
    #[param(rename = "filter[risk]", minimum = 0, maximum = 1_000_000)]
    risk: Option<i64>,
}

/// Which page of a list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document alone")]
pub struct Page {
    /// Where the last page ended: its `next_cursor`.
    cursor: Option<String>,
    /// Most rows of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
}
