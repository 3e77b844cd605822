//! The numbers of bans from which the map of a country is coloured.

use serde_json::json;

use crate::app::{ApiError, Ctx, Request, dry_run};
use crate::apply::effect::Effect;
use crate::apply::{Check, Preview};
use crate::domain::audit::{Entry, What};
use crate::server::response::Response;

/// The settings, and what they are until somebody changes them: high, medium, low.
const SETTINGS: [(&str, u64); 3] =
    [("map_threshold_high", 100), ("map_threshold_medium", 50), ("map_threshold_low", 20)];
/// Their names in the API.
const NAMES: [&str; 3] = ["threshold_high", "threshold_medium", "threshold_low"];
/// The largest threshold: the largest whole number every reader of JSON takes as it is.
const LARGEST: u64 = (1 << 53) - 1;

/// `GET /api/v1/config/map-color-thresholds`
pub fn thresholds(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    Ok(answer(stored(ctx)?))
}

fn stored(ctx: &Ctx) -> Result<[u64; 3], ApiError> {
    let mut found = [0; 3];
    for (place, (key, default)) in found.iter_mut().zip(SETTINGS) {
        *place = ctx.store.setting(key)?.and_then(|text| text.parse().ok()).unwrap_or(default);
    }
    Ok(found)
}

/// What the new thresholds would change.
fn preview(before: [u64; 3], after: [i64; 3]) -> Preview {
    let pairs = NAMES.iter().zip(before).zip(after.map(i64::unsigned_abs));
    let differing = pairs.filter(|((_, before), after)| before != after);
    let effect = differing.map(|((field, before), after)| Effect {
        jail: None,
        field: (*field).to_owned(),
        before: before.into(),
        after: after.into(),
    });
    let checks = vec![Check::ok("The thresholds are ordered.")];
    Preview { effect: effect.collect(), checks, ..Preview::default() }
}

/// `PUT /api/v1/config/map-color-thresholds`
pub fn change_thresholds(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let mut fields = request.fields()?;
    let mut wanted = [0_i64; 3];
    for (place, name) in wanted.iter_mut().zip(NAMES) {
        *place = fields.required(name).unwrap_or_default();
    }
    fields.finish()?;
    let [high, medium, low] = wanted;
    let is_ordered = high > medium && medium > low && low > 0;
    if !is_ordered || u64::try_from(high).is_ok_and(|high| high > LARGEST) {
        return Err(ApiError::invalid_input(
            "The thresholds must be ordered: high > medium > low > 0, and high may be at most 9007199254740991.",
        ));
    }
    let (before, shown) = (stored(ctx)?, wanted.map(i64::unsigned_abs));
    if shown == before && !ctx.dry_run {
        return Ok(answer(shown));
    }
    let texts = wanted.map(|number| number.to_string());
    let pairs: Vec<(&str, &str)> = SETTINGS.iter().zip(&texts).map(|((key, _), text)| (*key, text.as_str())).collect();
    if ctx.dry_run {
        return Ok(dry_run::answer(&preview(before, wanted)));
    }
    let mut entry = Entry::new(What::SettingsChanged, "map");
    for ((name, before), after) in NAMES.iter().zip(before).zip(shown) {
        entry = entry.changed(name, before.into(), after.into());
    }
    ctx.noted(|ctx| Ok((ctx.store.set_settings(&pairs)?, entry)))?;
    Ok(answer(shown))
}

fn answer([high, medium, low]: [u64; 3]) -> Response {
    Response::json(200, &json!({ "threshold_high": high, "threshold_medium": medium, "threshold_low": low }))
}
