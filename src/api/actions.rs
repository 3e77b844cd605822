//! Actions: the files of `action.d` as they are and as they work, changed through our own `.local` files. What they
//! hold is run by a shell as root, so all of it can be switched off.

use super::filters::show;
use super::{ApiError, Ctx, Job, Request};
use crate::domain::names::ConfName;
use crate::jobs::definitions::Kind;

/// `GET /api/v1/config/actions`
pub fn list(ctx: &mut Ctx, _request: &Request) -> Result<Job, ApiError> {
    Ok(show(ctx, Kind::Action, None))
}

/// `GET /api/v1/config/actions/{name}`
pub fn detail(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: ConfName = request.parameter()?;
    Ok(show(ctx, Kind::Action, Some(name)))
}
