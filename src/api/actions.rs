//! Actions: the files of `action.d` as they are and as they work, changed through our own `.local` files. What they
//! hold is run by a shell as root, so all of it can be switched off.

use std::collections::BTreeMap;

use super::filters::{edit_job, show, show_all};
use super::regex::{MAX_REGEX, is_short};
use crate::app::code::Code;
use crate::app::input::Fields;
use crate::app::{ApiError, Ctx, Job, Outcome, Request};
use crate::domain::names::ConfName;
use crate::jobs::definitions::{ACTION_FIELDS, ACTION_READ_ONLY, Kind};
use crate::jobs::edits::{Edit, Sent, Setting};

/// `GET /api/v1/config/actions`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    show_all(ctx, "actions", Kind::Action, request)
}

/// `GET /api/v1/config/actions/{name}`
pub fn detail(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: ConfName = request.parameter()?;
    Ok(show(ctx, Kind::Action, name))
}

/// `POST /api/v1/config/actions`
pub fn create(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    check_allowed(ctx)?;
    let mut fields = request.fields()?;
    let name: Option<String> = fields.required("name");
    let settings = settings(&mut fields, &[("init_vars", "Init")]);
    let ban = settings.iter().find(|setting| setting.key == "actionban").and_then(|setting| setting.value.as_deref());
    let has_ban = ban.is_some_and(|command| !command.trim().is_empty());
    fields.check(has_ban, "actionban", "required", "An action needs an actionban.");
    fields.finish()?;
    let name: ConfName = name.unwrap_or_default().parse()?;
    edit_job(ctx, Kind::Action, name, Edit::Create(settings), false)
}

/// `PUT /api/v1/config/actions/{name}`
pub fn update(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    check_allowed(ctx)?;
    let name: ConfName = request.parameter()?;
    let mut fields = request.fields()?.not_empty();
    let settings = settings(&mut fields, &[("init_vars", "Init"), ("definition_vars", "Definition")]);
    let read = fields.read_only(&ACTION_READ_ONLY);
    // Remarks that go with what was read.
    fields.optional::<Vec<String>>("warnings");
    let read = fields.finish_as_read(&ACTION_FIELDS, read)?;
    edit_job(ctx, Kind::Action, name, Edit::Update(settings, Sent { read, is_online: ctx.snapshot.online }), false)
}

/// `DELETE /api/v1/config/actions/{name}`
pub fn delete(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    check_allowed(ctx)?;
    let name: ConfName = request.parameter()?;
    edit_job(ctx, Kind::Action, name, Edit::Delete, false)
}

/// 403 where the owner wants no commands to be changed from afar.
fn check_allowed(ctx: &Ctx) -> Result<(), ApiError> {
    if ctx.config.allow_action_edit {
        return Ok(());
    }
    Err(ApiError::new(Code::ActionEditDisabled, "Actions cannot be changed here: BANGUI_ALLOW_ACTION_EDIT is 0."))
}

/// The commands in a body, and the variables of these fields with the section they stand in. What is null goes back to
/// the shipped file's.
fn settings(fields: &mut Fields, variables: &[(&str, &str)]) -> Vec<Setting> {
    let mut settings = Vec::new();
    for key in ACTION_FIELDS {
        let Some(value) = fields.optional::<Option<String>>(key) else { continue };
        let fits = value.as_ref().is_none_or(|command| is_short(command, MAX_REGEX));
        fields.check(fits, key, "max_length", "A command may be at most 16384 characters long.");
        settings.push(Setting { section: None, key: key.to_owned(), value });
    }
    for (field, section) in variables {
        let values: BTreeMap<String, String> = fields.optional(field).unwrap_or_default();
        settings.extend(values.into_iter().map(|(key, value)| {
            // A variable for one family stands in a section of its own: [Init?family=inet6].
            let (key, section) = match key.split_once('?') {
                Some((key, condition)) => (key.to_owned(), format!("{section}?{condition}")),
                None => (key, (*section).to_owned()),
            };
            Setting { section: Some(section), key, value: Some(value) }
        }));
    }
    settings
}
