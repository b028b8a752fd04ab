//! Filters and pages in the OpenAPI document: the fields with their forms.
//!
//! Owns nothing but words: [`super::filter`] reads them.

use utoipa::{IntoParams, ToSchema};

use crate::domain::ActorKind;

/// Selects sessions: every given field must match.
#[derive(Debug, ToSchema)]
#[schema(as = SessionFilter)]
#[expect(dead_code, reason = "for the document alone")]
pub struct SessionFilter {
    /// The owner's id.
    user: Option<uuid::Uuid>,
    /// The IP address of the last use, or a network such as 192.0.2.0/24.
    #[schema(example = "192.0.2.0/24")]
    ip: Option<String>,
    /// The IP address or network of the sign-in.
    #[schema(example = "2001:db8::/32")]
    sign_in_ip: Option<String>,
    /// The country of the sign-in or of the last use; one of them must match.
    #[schema(example = "PT", pattern = "^[A-Za-z]{2}$")]
    country: Option<String>,
    /// The autonomous system number of the sign-in or of the last use. With a country: both must be of the same place.
    #[schema(example = 64496, minimum = 0, maximum = 4_294_967_295i64)]
    asn: Option<i64>,
    /// The browser's family, exactly as lists show it.
    #[schema(example = "Firefox", min_length = 1, max_length = 64)]
    browser: Option<String>,
    /// The system's family, exactly as lists show it.
    #[schema(example = "Windows", min_length = 1, max_length = 64)]
    os: Option<String>,
    /// Issued before this time.
    #[schema(format = DateTime)]
    created_before: Option<String>,
    /// Issued at this time or later.
    #[schema(format = DateTime)]
    created_after: Option<String>,
    /// Last used before this time. Without an exact record, the ledger's last use counts as later by as much as the
    /// ledger may be behind: an eighth of the idle timeout, at most a minute.
    #[schema(format = DateTime)]
    last_seen_before: Option<String>,
    /// Last used at this time or later.
    #[schema(format = DateTime)]
    last_seen_after: Option<String>,
    /// The risk score is at least this.
    #[schema(minimum = 0, maximum = 1_000_000)]
    risk: Option<i64>,
    /// Only sessions in which an agent or an administrator acts for the user.
    actor: Option<ActorKind>,
}

/// The matching sessions. Each field of the filter is a separate parameter.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document alone")]
pub struct SessionSearch {
    /// The owner's id.
    #[param(rename = "filter[user]")]
    user: Option<uuid::Uuid>,
    /// The IP address or network of the last use.
    #[param(rename = "filter[ip]", example = "192.0.2.0/24")]
    ip: Option<String>,
    /// The IP address or network of the sign-in.
    #[param(rename = "filter[sign_in_ip]", example = "2001:db8::/32")]
    sign_in_ip: Option<String>,
    /// The country of the sign-in or of the last use; one of them must match.
    #[param(rename = "filter[country]", example = "PT", pattern = "^[A-Za-z]{2}$")]
    country: Option<String>,
    /// The autonomous system number of the sign-in or of the last use. With a country: both must be of the same place.
    #[param(rename = "filter[asn]", minimum = 0, maximum = 4_294_967_295i64)]
    asn: Option<i64>,
    /// The browser's family, exactly as lists show it.
    #[param(rename = "filter[browser]", min_length = 1, max_length = 64)]
    browser: Option<String>,
    /// The system's family, exactly as lists show it.
    #[param(rename = "filter[os]", min_length = 1, max_length = 64)]
    os: Option<String>,
    /// Issued before this time.
    #[param(rename = "filter[created_before]", format = DateTime)]
    created_before: Option<String>,
    /// Issued at this time or later.
    #[param(rename = "filter[created_after]", format = DateTime)]
    created_after: Option<String>,
    /// Last used before this time.
    #[param(rename = "filter[last_seen_before]", format = DateTime)]
    last_seen_before: Option<String>,
    /// Last used at this time or later.
    #[param(rename = "filter[last_seen_after]", format = DateTime)]
    last_seen_after: Option<String>,
    /// The risk score is at least this.
    #[param(rename = "filter[risk]", minimum = 0, maximum = 1_000_000)]
    risk: Option<i64>,
    /// Only sessions in which an agent or an administrator acts for the user.
    #[param(rename = "filter[actor]")]
    actor: Option<ActorKind>,
}

/// Which page of a list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document alone")]
pub struct Page {
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
    /// Most rows of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
}
