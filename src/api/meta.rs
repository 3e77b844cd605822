//! The API about itself: its specification, and the header that changes need.

use serde_json::json;

use crate::app::session::CSRF_HEADER;
use crate::app::{ApiError, Ctx, Request};
use crate::packed;
use crate::server::response::Response;

/// `GET /api/v1/openapi.json`: packed, as it is carried, for a client that takes it so.
pub fn openapi(_ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let accepted = request.head.header("accept-encoding").unwrap_or_default();
    let response = if accepts_gzip(accepted) {
        Response::json_bytes(200, packed::OPENAPI).with("content-encoding", "gzip")
    } else {
        Response::json_bytes(200, packed::openapi())
    };
    Ok(response.with("vary", "accept-encoding"))
}

/// Whether gzip is in the list, and not with the weight 0.
fn accepts_gzip(list: &str) -> bool {
    list.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|number| number.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

/// `GET /api/v1/config/security-headers`
pub fn security_headers(_ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let (name, value) = CSRF_HEADER;
    Ok(Response::json(200, &json!({ "csrf_header_name": name, "csrf_header_value": value })))
}
