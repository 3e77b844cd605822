//! An address or a network let out wherever it is banned, and never banned again where that is wanted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::bans::{because, note_field, waits_for_archive};
use super::never_ban::until;
use crate::app::banned::Readiness;
use crate::app::input::Fields;
use crate::app::{ApiError, Ctx, Job, Outcome, Request};
use crate::domain::address::IpOrNet;
use crate::domain::audit::{Entry, What};
use crate::domain::history::BLOCKLIST_JAIL;
use crate::domain::json;
use crate::domain::names::JailName;
use crate::domain::never_ban::{MOST_JAILS, State, Who};
use crate::domain::time;
use crate::jobs::Task;
use crate::jobs::release::{Release, Released};
use crate::server::response::Response;
use crate::services::never_ban::{self, Wanted, described};

/// Bans of a network in one jail that are noted one by one as lifted here, at most.
const MOST_NOTED: usize = 250;

/// What a body asks for.
struct Asked {
    jails: Vec<String>,
    never_again: bool,
    note: String,
    /// Until when it is never banned, in Unix seconds; `None` for ever.
    until: Option<i64>,
    force: bool,
}

/// What became of it in one jail.
struct InJail {
    jail: String,
    lifted: u64,
    /// Why it is not out, in a sentence.
    failure: Option<String>,
}

/// `POST /api/v1/addresses/{ip}/release`
pub fn release(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let net: IpOrNet = request.parameter()?;
    let asked = asked(request)?;
    for name in asked.jails.iter().filter(|name| *name != BLOCKLIST_JAIL || ctx.config.blocklist_way.is_none()) {
        ctx.daemon.counters(&JailName::from_daemon(name)?)?;
    }
    let who = Who::Net(net);
    if asked.never_again && !asked.force {
        never_ban::demand_narrow(&who)?;
    }
    if waits_for_archive(ctx, request) {
        return Ok(Outcome::AfterArchive);
    }
    if asked.never_again {
        return Ok(Outcome::Job(Box::new(never_again(ctx, net, who, asked)?)));
    }
    // Which networks it lies in is to be known; without fail2ban nothing is, and what is imported is let out all the same.
    if let Ok(Readiness::Reading) = ctx.ready_bans(None, request) {
        return Ok(Outcome::Again);
    }
    Ok(Outcome::Job(Box::new(let_out(ctx, net, asked.jails, &asked.note)?)))
}

fn asked(request: &Request) -> Result<Asked, ApiError> {
    let mut fields = if request.body.is_empty() { Fields::parse(b"{}")? } else { request.fields()? };
    let given = fields.optional::<Option<Vec<String>>>("jails").flatten().unwrap_or_default();
    fields.check(given.len() <= MOST_JAILS, "jails", "length", "jails: at most 100 jails can be named.");
    let never_again = fields.optional("never_again").unwrap_or(false);
    let note = note_field(&mut fields);
    let until = until(&mut fields, None);
    let detail = "until: it says how long the address is never banned; give never_again, too.";
    fields.check(never_again || until.is_none(), "until", "requires", detail);
    let force = fields.optional("force").unwrap_or(false);
    fields.finish()?;
    let mut jails: Vec<String> = Vec::new();
    for name in given {
        let name = JailName::from_daemon(&name)?.to_string();
        if !jails.contains(&name) {
            jails.push(name);
        }
    }
    Ok(Asked { jails, never_again, note, until, force })
}

/// Lets it out, and leaves it at that.
fn let_out(ctx: &mut Ctx, net: IpOrNet, jails: Vec<String>, note: &str) -> Result<Job, ApiError> {
    let mut noted = Vec::new();
    for (jail, ips) in held_in(ctx, &net, &jails) {
        noted.push((jail.clone(), ctx.note_lift(Some(&jail), Some(&ips), note)));
    }
    let (kept, why) = (noted.clone(), note.to_owned());
    let task = Task::Release(Release {
        socket: ctx.fail2ban_socket().to_owned(),
        jails,
        ip: net.to_string(),
        set: ctx.set_place(),
    });
    let done = Job::new(task, move |ctx, released| {
        let released: Vec<Released> = json::from_tree(released).map_err(ApiError::internal)?;
        for (jail, noted) in noted {
            match released.iter().find(|one| one.jail == jail) {
                Some(one) if one.failure.is_some() => ctx.undo_lift(noted, true),
                Some(one) if one.lifted == 0 => ctx.undo_lift(noted, false),
                _ => {}
            }
        }
        released.iter().for_each(|one| ctx.banned.held.distrust_jail(&one.jail));
        let (mut in_jails, mut first) = (Vec::new(), None);
        for Released { jail, lifted, failure } in released {
            let error = failure.map(ApiError::from);
            in_jails.push(InJail { jail, lifted, failure: error.as_ref().map(|error| error.detail.clone()) });
            first = first.or(error);
        }
        match first {
            Some(error) if in_jails.iter().all(|one| one.failure.is_some()) => Err(error),
            _ => {
                let out: Vec<&str> =
                    in_jails.iter().filter(|one| one.lifted > 0).map(|one| one.jail.as_str()).collect();
                if !out.is_empty() {
                    let detail = format!("Let out of {}.{}", out.join(", "), because(&why));
                    ctx.note(&Entry::new(What::Unban, net.to_string()).saying(detail));
                }
                Ok(answer(ctx, &net, in_jails, Value::Null).warning(ctx.late.warning()))
            }
        }
    });
    Ok(done.undone_by(|ctx| kept.into_iter().for_each(|(_, noted)| ctx.undo_lift(noted, true))).detached())
}

/// What is known to be banned of it, by jail: itself, or what lies in a network.
fn held_in(ctx: &Ctx, net: &IpOrNet, jails: &[String]) -> BTreeMap<String, Vec<String>> {
    let is_meant = |jail: &str| jails.is_empty() || jails.iter().any(|own| own == jail);
    let mut held: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for jail in ctx.banned.held.jails().iter().filter(|jail| is_meant(jail.name())) {
        let rows = jail.rows().iter().filter_map(|row| row.net());
        let inside: Vec<IpOrNet> = rows.filter(|banned| net.contains(banned)).take(MOST_NOTED).collect();
        if !inside.is_empty() {
            held.entry(jail.name().to_owned()).or_default().extend(inside.iter().map(IpOrNet::to_string));
        }
    }
    for (jail, ip) in ctx.own_bans.names() {
        if is_meant(&jail) && ip.parse::<IpOrNet>().is_ok_and(|banned| net.contains(&banned)) {
            held.entry(jail).or_default().insert(ip);
        }
    }
    if is_meant(BLOCKLIST_JAIL) && ctx.held().is_some_and(|set| set.find(net).ok().flatten().is_some()) {
        held.entry(BLOCKLIST_JAIL.to_owned()).or_default().insert(net.to_string());
    }
    held.into_iter().map(|(jail, ips)| (jail, ips.into_iter().collect())).collect()
}

/// Puts it on the never-ban list, which lets it out.
fn never_again(ctx: &mut Ctx, net: IpOrNet, who: Who, asked: Asked) -> Result<Job, ApiError> {
    let jails = asked.jails.clone();
    let was_imported = is_imported(ctx, &net);
    let wanted = Wanted { who, jails: asked.jails, note: asked.note, until: asked.until };
    never_ban::add_or_widen(
        ctx,
        wanted,
        Box::new(move |ctx, outcome| {
            let mut lifted: BTreeMap<String, u64> = BTreeMap::new();
            for (jail, _) in outcome.lifted {
                *lifted.entry(jail).or_default() += 1;
            }
            if was_imported && !is_imported(ctx, &net) {
                *lifted.entry(BLOCKLIST_JAIL.to_owned()).or_default() += 1;
            }
            let all = if jails.is_empty() { &ctx.known_jails } else { &jails };
            all.iter().for_each(|jail| _ = lifted.entry(jail.clone()).or_default());
            // Then fail2ban was not told.
            let is_open = outcome.entry.state == State::New;
            let later = "fail2ban was not reached; it is let out as soon as it is.";
            let in_jail =
                |(jail, lifted)| InJail { jail, lifted, failure: (is_open && lifted == 0).then(|| later.to_owned()) };
            let in_jails = lifted.into_iter().map(in_jail).collect();
            let entry = described(ctx, &outcome.entry);
            Ok(answer(ctx, &net, in_jails, entry).warning(&outcome.warnings.join(" ")))
        }),
    )
}

fn is_imported(ctx: &Ctx, net: &IpOrNet) -> bool {
    ctx.held().is_some_and(|set| set.covers(net, time::now()).unwrap_or(false))
}

fn answer(ctx: &Ctx, net: &IpOrNet, in_jails: Vec<InJail>, never_ban: Value) -> Response {
    let (mut out, mut results) = (Vec::new(), Vec::new());
    for InJail { jail, lifted, failure } in in_jails {
        let cover = if never_ban.is_null() { covering(ctx, &jail, net) } else { None };
        let released = lifted > 0 && failure.is_none() && cover.is_none();
        let detail = match (failure, cover, lifted) {
            (Some(failure), ..) => Some(failure),
            (None, Some(cover), _) => Some(format!(
                "{net} is blocked as part of {cover} there, which stays banned. Release {cover} to let it out."
            )),
            (None, None, 0) => Some(format!("{net} was not banned there.")),
            (None, None, 1) => None,
            (None, None, count) => Some(format!("{count} bans were lifted.")),
        };
        results.push(json!({ "jail": jail, "released": released, "lifted": lifted, "detail": detail }));
        if released {
            out.push(jail);
        }
    }
    let mut message = match out.as_slice() {
        [] => format!("{net} was let out of no jail."),
        [only] => format!("{net} is let out of {only}."),
        [most @ .., last] => format!("{net} is let out of {} and {last}.", most.join(", ")),
    };
    if !never_ban.is_null() {
        message += " It is on the never-ban list.";
    }
    let body = json!({ "ip": net.to_string(), "message": message, "results": results, "never_ban": never_ban });
    Response::json(200, &body)
}

/// A network that a jail has banned and that this is a part of.
fn covering(ctx: &Ctx, jail: &str, net: &IpOrNet) -> Option<IpOrNet> {
    let is_wider = |banned: &IpOrNet| banned != net && banned.contains(net);
    let rows = ctx.banned.held.jail(jail).map(|jail| jail.rows()).unwrap_or_default();
    let in_jail = rows.iter().filter(|row| row.may_cover(net)).filter_map(|row| row.net()).find(is_wider);
    let in_set = || {
        let set = ctx.held().filter(|_| jail == BLOCKLIST_JAIL)?;
        (0..net.prefix()).map(|prefix| net.within(prefix)).find(|wider| set.find(wider).ok().flatten().is_some())
    };
    in_jail.or_else(in_set)
}
