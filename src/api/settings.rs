//! The settings that a person may change without a restart.

use serde_json::{Value, json};

use crate::app::changeable::{CHANGEABLE, Changeable};
use crate::app::code::Code;
use crate::app::input::Fields;
use crate::app::{ApiError, Ctx, Request};
use crate::domain::audit::{Entry, What};
use crate::server::response::Response;

/// `GET /api/v1/settings`
pub fn show(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    Ok(answer(ctx))
}

/// `PUT /api/v1/settings`: all of what is sent, or nothing. `null` sets a value to what it is by itself.
pub fn change(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let mut fields = request.fields()?.not_empty();
    // What a GET shows may come back.
    fields.optional::<Vec<String>>("fixed");
    let mut config = ctx.config.clone();
    let mut changed: Vec<(&Changeable, Option<String>)> = Vec::new();
    for setting in &CHANGEABLE {
        let text = match fields.takes_null(setting.name) {
            true => None,
            false => match given(&mut fields, setting.name) {
                Some(text) => Some(text),
                None => continue,
            },
        };
        let before = setting.shown(&config);
        if let Err(problem) = setting.set(&mut config, text.as_deref()) {
            fields.check(false, setting.name, "value", &format!("{}: {problem}.", setting.name));
        }
        if setting.shown(&config) != before {
            changed.push((setting, text));
        }
    }
    fields.finish()?;
    if let Some((setting, _)) = changed.iter().find(|(setting, _)| setting.is_fixed(&ctx.config)) {
        let detail = format!(
            "{} was given when bangui was started ({}, or {} in its file of settings). Change it there, or remove it from there.",
            setting.name,
            setting.variable,
            setting.key()
        );
        return Err(ApiError::new(Code::Conflict, detail).with("setting", setting.variable));
    }
    let pairs: Vec<(String, Option<String>)> =
        changed.into_iter().map(|(setting, text)| (setting.key(), text)).collect();
    if !pairs.is_empty() {
        let mut entry = Entry::new(What::SettingsChanged, "bangui");
        for setting in &CHANGEABLE {
            entry = entry.changed(setting.name, setting.shown(&ctx.config), setting.shown(&config));
        }
        ctx.noted(|ctx| Ok((ctx.store.change_settings(&pairs)?, entry)))?;
        ctx.config = config;
    }
    Ok(answer(ctx))
}

/// A value as the text that the setting takes at the start.
fn given(fields: &mut Fields, name: &str) -> Option<String> {
    match name {
        "archive_days" | "digest_hour" => fields.optional::<u32>(name).map(|number| number.to_string()),
        "metrics_networks" => fields.optional::<Vec<String>>(name).map(|networks| networks.join(",")),
        _ => fields.optional::<String>(name),
    }
}

fn answer(ctx: &Ctx) -> Response {
    let mut body = json!({});
    for setting in &CHANGEABLE {
        body[setting.name] = setting.shown(&ctx.config);
    }
    let fixed = CHANGEABLE.iter().filter(|setting| setting.is_fixed(&ctx.config));
    body["fixed"] = fixed.map(|setting| Value::from(setting.name)).collect();
    Response::json(200, &body)
}
