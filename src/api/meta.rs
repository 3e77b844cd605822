//! The API about itself: its specification, and the header that changes need.

use serde_json::json;

use super::dispatch::CSRF_HEADER;
use super::{ApiError, Ctx, Request};
use crate::server::response::Response;

/// The specification, as it lies at the top of the project.
const OPENAPI: &[u8] = include_bytes!("../../openapi.json");

/// `GET /api/v1/openapi.json`
pub fn openapi(_ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    Ok(Response::json_bytes(200, OPENAPI))
}

/// `GET /api/v1/config/security-headers`
pub fn security_headers(_ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let (name, value) = CSRF_HEADER;
    Ok(Response::json(200, &json!({ "csrf_header_name": name, "csrf_header_value": value })))
}
