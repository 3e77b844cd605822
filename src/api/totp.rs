//! One's own second factor: enrolled, confirmed, given new recovery codes, given up. A forgotten one is reset at the machine
//! (`bangui totp reset`).

use serde_json::json;

use crate::app::{Admitted, ApiError, Ctx, Outcome, Request};
use crate::domain::audit::{Entry, What};
use crate::domain::totp::{self, SECRET_BYTES};
use crate::server::response::Response;
use crate::services::proof::{Proof, proved};
use crate::services::second_factor;

/// `GET /api/v1/auth/totp`
pub fn show(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let user = request.admitted.user_id();
    let body = json!({
        "enabled": ctx.store.has_second_factor(user)?,
        "recovery_codes_left": ctx.store.recovery_codes_left(user)?,
    });
    Ok(Response::json(200, &body))
}

/// `POST /api/v1/auth/totp/enrol`: a new secret, which logins ask for once a code has confirmed it.
pub fn enrol(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let proof = Proof::Either(super::users::password_of_body(request)?);
    if ctx.store.has_second_factor(request.admitted.user_id())? {
        return Err(second_factor::already_enabled());
    }
    proved(ctx, request, proof, None, |ctx, admitted, _| {
        let mut secret = vec![0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(ApiError::internal)?;
        let user = admitted.user_or_owner();
        let body = json!({
            "secret": totp::base32(&secret),
            "otpauth_uri": second_factor::uri(&secret, &user.name),
        });
        if !ctx.store.enrol_second_factor(user.id, secret)? {
            return Err(second_factor::already_enabled());
        }
        Ok(Response::json(201, &body))
    })
}

/// `POST /api/v1/auth/totp/confirm`
pub fn confirm(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let mut fields = request.fields()?;
    let code: Option<String> = fields.required("code");
    fields.finish()?;
    let admitted = &request.admitted;
    let codes = second_factor::confirm(ctx, &admitted.user_or_owner(), admitted.client, &code.unwrap_or_default())?;
    log::info!("logins of {} ask for a second factor from now on", admitted.actor().in_words());
    Ok(Response::json(200, &json!({ "recovery_codes": codes })))
}

/// `POST /api/v1/auth/totp/recovery-codes`: ten new ones; the former are of no use any more.
pub fn renew_codes(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (password, code) = password_and_code(ctx, request, false)?;
    proved(ctx, request, Proof::Either(password), None, move |ctx, admitted, _| {
        let user = admitted.user_or_owner();
        second_factor::prove(ctx, &user, admitted.client, &code)?;
        let (codes, hashes) = second_factor::recovery_codes()?;
        let entry = Entry::new(What::TotpEnabled, &user.name).saying("There are new recovery codes.");
        ctx.noted(|ctx| Ok((ctx.store.set_recovery_codes(user.id, &hashes)?, entry)))?;
        log::info!("{} has new recovery codes", admitted.actor().in_words());
        Ok(Response::json(200, &json!({ "recovery_codes": codes })))
    })
}

/// `POST /api/v1/auth/totp/disable`: with the password and a code, of which a recovery code is one, too.
pub fn disable(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (password, code) = password_and_code(ctx, request, true)?;
    let proof = Proof::Password(password.unwrap_or_default());
    proved(ctx, request, proof, None, move |ctx: &mut Ctx, admitted: &Admitted, _| {
        let user = admitted.user_or_owner();
        second_factor::prove(ctx, &user, admitted.client, &code)?;
        let entry = Entry::new(What::TotpDisabled, &user.name);
        ctx.noted(|ctx| Ok((ctx.store.remove_second_factor(user.id)?, entry)))?;
        log::info!("logins of {} ask for the password alone from now on", admitted.actor().in_words());
        Ok(Response::no_content())
    })
}

/// What the body has of the two; 409 where logins ask for no code.
fn password_and_code(ctx: &Ctx, request: &Request, needs_password: bool) -> Result<(Option<String>, String), ApiError> {
    let mut fields = request.fields()?;
    let password = if needs_password { fields.required("password") } else { fields.optional("password") };
    let code: Option<String> = fields.required("code");
    fields.finish()?;
    if !ctx.store.has_second_factor(request.admitted.user_id())? {
        return Err(second_factor::not_enabled());
    }
    Ok((password, code.unwrap_or_default()))
}
