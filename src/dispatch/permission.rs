//! What an identity may do: the role of a person, the scope of a program's key, and the jails that one is for. All of it is a column of the
//! table of routes; only here is it looked at.

use crate::app::code::Code;
use crate::app::error::ApiError;
use crate::app::request::{Admitted, OfJails, Refused, Route};

/// 403 for what this identity may not do; 404 for a jail that it may not know of.
pub fn check(route: &Route, admitted: &Admitted) -> Result<(), ApiError> {
    if admitted.token.is_some() {
        check_key(route, admitted)?;
    }
    if admitted.role() < route.role {
        let (own, needed) = (admitted.role().as_str(), route.role.as_str());
        let detail = format!("This needs the role {needed}, and yours is {own}. An admin can change that.");
        return Err(ApiError::out_of_role(route.role, detail));
    }
    Ok(())
}

fn check_key(route: &Route, admitted: &Admitted) -> Result<(), ApiError> {
    if route.for_people {
        let detail = "Tokens cannot do this; it needs a session. Log in with POST /api/v1/auth/login.";
        return Err(ApiError::new(Code::SessionRequired, detail));
    }
    if !admitted.holds(route.scope) {
        let needed = route.scope.as_str();
        let detail = format!("This token does not have the scope {needed}. Add it to the token, or use another one.");
        return Err(ApiError::out_of_scope(route.scope, detail));
    }
    let Some(jails) = admitted.jails() else { return Ok(()) };
    match route.for_jails() {
        OfJails::Seen | OfJails::None => Ok(()),
        OfJails::Named => {
            let name = admitted.parameters.first().map(String::as_str).unwrap_or_default();
            if admitted.sees(name) { Ok(()) } else { Err(ApiError::no_jail(name)) }
        }
        OfJails::All => {
            let detail = format!("This concerns all jails, and the token is for {} only.", jails.join(", "));
            Err(ApiError::out_of_scope(route.scope, detail).with("jails", jails))
        }
    }
}

/// What is said of a key that is no identity.
pub fn refused(refused: &Refused, admitted: &Admitted) -> ApiError {
    match refused {
        Refused::Unknown => ApiError::new(
            Code::InvalidToken,
            "This token is unknown, expired, rotated or deleted. Make a new one under Access.",
        ),
        Refused::FromHere(_) => {
            let detail = format!(
                "This token may not be used from {}. Add that address to the token, or remove its restriction.",
                admitted.client
            );
            ApiError::new(Code::IpNotAllowed, detail)
        }
    }
}
