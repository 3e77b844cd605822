//! The list of what is never banned: shown with the ignore entries of fail2ban's files, added to, changed, taken from.

use std::str::FromStr;

use serde_json::{Value, json};

use crate::app::code::Code;
use crate::app::input::Fields;
use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Job, Request};
use crate::domain::json;
use crate::domain::names::Running;
use crate::domain::never_ban::{MOST_JAILS, NeverBan, Who};
use crate::domain::own_ban::LONGEST_NOTE;
use crate::domain::permission::{Role, Scope};
use crate::domain::time;
use crate::jobs::ignored::{ListIgnored, OfFiles};
use crate::jobs::{Failure, Task};
use crate::server::response::Response;
use crate::services::never_ban::{self, Outcome, Wanted, described};

/// What is shown of an entry and cannot be changed.
const READ_ONLY: [&str; 7] = ["id", "kind", "created_at", "actor", "addresses", "in_force", "source"];
/// The longest text that can name an entry of a file, in bytes.
const LONGEST_ENTRY: usize = 256;

/// An entry as it is named in a path: by its number, or as it is written.
enum Named {
    Number(i64),
    Text(String),
}

impl FromStr for Named {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        if let Ok(number) = text.parse() {
            return Ok(Named::Number(number));
        }
        if text.len() > LONGEST_ENTRY || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(ApiError::invalid_field(
                "id",
                "An entry is named by its number, or by the address, network or host name.",
            ));
        }
        // The very text, in the form that the list has it.
        Ok(Named::Text(text.parse::<Who>().map_or_else(|_| text.to_owned(), |who| who.to_string())))
    }
}

impl Named {
    fn on_list<'a>(&self, ctx: &'a Ctx) -> Option<&'a NeverBan> {
        match self {
            Named::Number(id) => ctx.never_ban.get(*id),
            Named::Text(text) => ctx.never_ban.named(text),
        }
    }

    fn text(&self) -> String {
        match self {
            Named::Number(id) => id.to_string(),
            Named::Text(text) => text.clone(),
        }
    }
}

/// What the list can be sorted by.
const FIELDS: &[&str] = &["id", "entry", "kind", "note", "until", "created_at"];

/// `GET /api/v1/never-ban`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let listed = Listed::read(request.query(), FIELDS)?.in_pages(request)?;
    let task = Task::ListIgnored(ListIgnored { config_dir: ctx.config.fail2ban_config.clone() });
    Ok(Job::new(task, move |ctx, found| {
        let of_files: Vec<OfFiles> = json::from_tree(found).map_err(ApiError::internal)?;
        Ok(shown(ctx, &listed, of_files))
    }))
}

/// Those of the list, newest first, and behind them those of the files.
fn shown(ctx: &Ctx, listed: &Listed, of_files: Vec<OfFiles>) -> Response {
    let mut items: Vec<Value> = ctx.never_ban.entries().map(|entry| described(ctx, entry)).collect();
    items.reverse();
    items.extend(of_files.into_iter().map(of_file));
    let mut body = json!({ "items": items, "pagination": null, "problem": ctx.never_ban.problem });
    listed.shape(&mut body);
    Response::json(200, &body)
}

fn of_file(own: OfFiles) -> Value {
    let kind = match own.entry.parse() {
        Ok(Who::Net(net)) if net.is_network() => "network",
        Ok(Who::Net(_)) => "address",
        Ok(Who::Name(_)) => "name",
        Err(_) => "other",
    };
    json!({
        "id": null,
        "entry": own.entry,
        "kind": kind,
        "jails": own.jails,
        "note": "",
        "until": null,
        "created_at": null,
        "actor": null,
        "addresses": [],
        "in_force": true,
        "source": { "file": own.file, "line": own.line },
    })
}

/// `POST /api/v1/never-ban`
pub fn create(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let (wanted, force) = wanted(request.fields()?, None)?;
    demand_narrow(request, &wanted.who, force)?;
    never_ban::add(ctx, wanted, Box::new(|ctx, outcome| Ok(answer(ctx, 201, outcome))))
}

/// `PUT /api/v1/never-ban/{id}`: what is not named stays.
pub fn change(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let named: Named = request.parameter()?;
    let Some(entry) = named.on_list(ctx).cloned() else { return elsewhere(ctx, named.text()) };
    let shown = described(ctx, &entry);
    let mut fields = request.fields()?.not_empty();
    let read = fields.read_only(&READ_ONLY);
    let (wanted, force) = wanted(fields, Some(&entry))?;
    let wrong = read.wrong(&shown, |name| ["in_force", "addresses"].contains(&name));
    if !wrong.is_empty() {
        return Err(Failure::WrongFields(wrong).into());
    }
    if wanted.who.to_string() != entry.entry {
        demand_narrow(request, &wanted.who, force)?;
    }
    never_ban::change(ctx, entry.id, wanted, Box::new(|ctx, outcome| Ok(answer(ctx, 200, outcome))))
}

/// Refuses what would let in everybody, or whole parts of the world: it takes force, and who may change the configuration, for nobody would
/// be banned any more.
fn demand_narrow(request: &Request, who: &Who, force: bool) -> Result<(), ApiError> {
    let Err(too_wide) = never_ban::demand_narrow(who) else { return Ok(()) };
    let admitted = &request.admitted;
    if !force {
        return Err(too_wide);
    }
    let detail = format!("Only admins let in so many: nobody in {who} would ever be banned.");
    if admitted.role() < Role::Admin {
        return Err(ApiError::out_of_role(Role::Admin, detail));
    }
    if !admitted.holds(Scope::Config) {
        return Err(ApiError::out_of_scope(Scope::Config, detail));
    }
    Ok(())
}

/// `DELETE /api/v1/never-ban/{id}`
pub fn remove(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let named: Named = request.parameter()?;
    let Some(id) = named.on_list(ctx).map(|entry| entry.id) else { return elsewhere(ctx, named.text()) };
    let gone = |_: &mut Ctx, outcome: Outcome| Ok(Response::no_content().warning(&outcome.warnings.join(" ")));
    never_ban::remove(ctx, id, Box::new(gone))
}

/// What is not on the list: 409 for an entry of a file, which is not ours to touch, else 404.
fn elsewhere(ctx: &Ctx, text: String) -> Result<Job, ApiError> {
    let task = Task::ListIgnored(ListIgnored { config_dir: ctx.config.fail2ban_config.clone() });
    Ok(Job::new(task, move |_, found| {
        let of_files: Vec<OfFiles> = json::from_tree(found).map_err(ApiError::internal)?;
        let is_it =
            |own: &&OfFiles| own.entry == text || own.entry.parse::<Who>().is_ok_and(|who| who.to_string() == text);
        let Some(own) = of_files.iter().find(is_it) else { return Err(never_ban::unknown(&text)) };
        let detail = format!(
            "{} stands in {} (line {}) and is not on the list of bangui. Change it there, or under /api/v1/jails/{{name}}/ignoreip.",
            own.entry, own.file, own.line
        );
        Err(ApiError::new(Code::Conflict, detail).with("file", own.file.clone()).with("jails", own.jails.clone()))
    }))
}

fn answer(ctx: &mut Ctx, status: u16, outcome: Outcome) -> Response {
    let mut body = described(ctx, &outcome.entry);
    let lifted = outcome.lifted.iter().map(|(jail, ip)| json!({ "jail": jail, "ip": ip }));
    body["lifted"] = lifted.collect();
    Response::json(status, &body).warning(&outcome.warnings.join(" "))
}

/// What a body asks for, and whether by force; what it does not name is as in `present`.
fn wanted(mut fields: Fields, present: Option<&NeverBan>) -> Result<(Wanted, bool), ApiError> {
    let entry: Option<String> = match present {
        None => fields.required("entry"),
        Some(present) => Some(fields.optional("entry").unwrap_or_else(|| present.entry.clone())),
    };
    let who = entry.map(|text| text.parse::<Who>());
    fields.check(
        !matches!(who, Some(Err(_))),
        "entry",
        "format",
        "entry: an IP address, a network such as 192.0.2.0/24, or the name of a host is expected.",
    );
    let jails: Option<Option<Vec<String>>> = fields.optional("jails");
    let jails =
        jails.map(Option::unwrap_or_default).or_else(|| present.map(|own| own.jails.clone())).unwrap_or_default();
    fields.check(jails.len() <= MOST_JAILS, "jails", "length", "jails: at most 100 jails can be named.");
    let are_names = jails.iter().all(|name| name.parse::<Running>().is_ok());
    fields.check(are_names, "jails", "format", "jails: names of jails are expected.");
    let note: Option<Option<String>> = fields.optional("note");
    let note = note.map(Option::unwrap_or_default).or_else(|| present.map(|own| own.note.clone())).unwrap_or_default();
    let is_plain = note.chars().count() <= LONGEST_NOTE && !note.chars().any(char::is_control);
    fields.check(is_plain, "note", "format", "note: at most 500 characters in one line are expected.");
    let until = until(&mut fields, present.and_then(|own| own.until));
    let force = fields.optional("force").unwrap_or(false);
    fields.finish()?;
    let Some(Ok(who)) = who else { return Err(ApiError::internal("an entry that was checked is none")) };
    let mut names: Vec<String> = Vec::new();
    jails.into_iter().for_each(|jail| {
        if !names.contains(&jail) {
            names.push(jail);
        }
    });
    Ok((Wanted { who, jails: names, note: note.trim().to_owned(), until }, force))
}

/// The end, by `until` or by `duration`.
pub(super) fn until(fields: &mut Fields, present: Option<i64>) -> Option<i64> {
    let now = time::now();
    let given: Option<Option<String>> = fields.optional("until");
    let duration = fields.duration("duration");
    fields.check(
        duration.is_none() || !matches!(given, Some(Some(_))),
        "duration",
        "exclusive",
        "duration: give until or duration, not both.",
    );
    match (duration, given) {
        (Some(seconds), _) => (seconds >= 0).then(|| now.saturating_add(seconds)),
        (None, Some(Some(text))) => {
            let end = time::parse_rfc3339(&text);
            let is_as_before = end.is_some() && end == present;
            let is_later = is_as_before || end.is_some_and(|end| end > now);
            fields.check(
                is_later,
                "until",
                "format",
                "until: a time to come is expected, such as 2030-12-31T18:00:00Z.",
            );
            end
        }
        (None, Some(None)) => None,
        (None, None) => present,
    }
}
