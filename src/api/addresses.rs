//! All that is known of one address or network: is it out, where, why and until when; what lets it in; and what it did before.

use serde_json::{Value, json};

use super::failing;
use crate::app::banned::Readiness;
use crate::app::failing::Known;
use crate::app::{ApiError, Ctx, Job, Outcome, Request, Step};
use crate::domain::actor::Actor;
use crate::domain::address::IpOrNet;
use crate::domain::history::{BLOCKLIST_JAIL, Origin, PastBan};
use crate::domain::log_user::user_named;
use crate::domain::names::JailName;
use crate::domain::time::{self, rfc3339};
use crate::fail2ban;
use crate::held::row::{Lasts, Row};
use crate::held::table::JailBans;
use crate::server::response::Response;
use crate::store::archive::Summary;

/// The most earlier bans that are shown.
const RECENT: u32 = 20;
/// The most networks that are shown to cover it.
const COVERS: usize = 20;

/// What is banned now: it, and networks that it lies in.
#[derive(Default)]
struct Out {
    banned: Vec<Value>,
    covered_by: Vec<Value>,
    /// What a sentence says of each: the jail, the end in Unix seconds (`None` for never), why.
    told: Vec<(String, Lasts, Option<i64>, String)>,
}

/// `GET /api/v1/addresses/{ip}`
pub fn one(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let net: IpOrNet = request.parameter()?;
    let failures_known = ctx.failures_known()?;
    if let Readiness::Reading = ctx.ready_bans(None, request)? {
        return Ok(Outcome::Again);
    }
    if ctx.failing_is_behind() && !request.has_waited {
        return Ok(Outcome::Again);
    }
    ctx.count_failures()?;
    let (out, lists) = (out(ctx, &net), imported(ctx, &net));
    let ip = net.to_string();
    let may_fail = failures_known == Known::Journal || ctx.failing.now.has(&ip);
    let mut behind = if may_fail { ctx.look_at_failing(&failures_known)? } else { None };
    let (mut summary, mut after) = (Summary::default(), Some(Summary::START));
    let mut ignored_by = never_banned(ctx, &net);
    let mut jails = ctx.daemon.jail_names()?.into_iter();
    let mut known = Some((out, lists));
    Ok(Outcome::Steps(Box::new(move |ctx| {
        // The daemon is asked about one jail in a turn: others have theirs meanwhile.
        if let Some(jail) = jails.next() {
            ignored_by.extend(ignored_in(ctx, &jail, &net)?);
            return Ok(Step::More);
        }
        if let Some(start) = after {
            after = ctx.store.sum_up_ip(&ip, start, &mut summary)?;
        }
        if after.is_some() {
            return Ok(Step::More);
        }
        let Some((out, lists)) = known.take() else { return Err(ApiError::internal("a step too many")) };
        let known = Seen {
            recent: ctx.store.archive_of_ip(&ip, RECENT)?,
            first: ctx.store.first_ban_of_ip(&ip)?,
            bans: summary.bans,
            ip: ip.clone(),
            out,
            ignored_by: std::mem::take(&mut ignored_by),
            lists,
        };
        Ok(match behind.take() {
            None => Step::Done(Response::json(200, &known.shown(ctx))),
            Some(task) => Step::Job(Box::new(Job::new(task, move |ctx, found| {
                ctx.take_failing(found)?;
                Ok(Response::json(200, &known.shown(ctx)))
            }))),
        })
    })))
}

/// What was found of an address.
struct Seen {
    ip: String,
    out: Out,
    ignored_by: Vec<Value>,
    lists: Vec<Value>,
    bans: u64,
    first: Option<i64>,
    recent: Vec<PastBan>,
}

impl Seen {
    fn shown(&self, ctx: &Ctx) -> Value {
        let place = ctx.place_of(&self.ip);
        let operator = place.asn.as_ref().or(place.org.as_ref()).map(|_| json!({ "asn": place.asn, "org": place.org }));
        let failing: Vec<Value> = failing::items(ctx, None, Some(&self.ip)).into_iter().map(|(_, item)| item).collect();
        json!({
            "ip": self.ip,
            "sentence": sentence(self, &failing),
            "banned": self.out.banned,
            "covered_by": self.out.covered_by,
            "failing": failing,
            "ignored_by": self.ignored_by,
            "lists": self.lists,
            "country": place.country,
            "operator": operator,
            "history": {
                "bans": self.bans,
                "first": self.first.map(rfc3339),
                "last": self.recent.first().map(|ban| rfc3339(ban.banned_at)),
                "recent": past(ctx, &self.recent, &self.out),
            },
            "firewall": { "state": "unknown", "where": null, "reason": "The packet filter was not looked at." },
        })
    }
}

fn out(ctx: &Ctx, net: &IpOrNet) -> Out {
    let mut out = Out::default();
    for jail in ctx.banned.held.jails() {
        let touching = jail.rows().iter().filter(|row| row.may_cover(net));
        for (row, banned) in touching.filter_map(|row| Some((row, row.net()?))) {
            let told = |row: &Row, note: &str| (jail.name().to_owned(), row.lasts(), row.until(), note.to_owned());
            if banned == *net {
                let own = ctx.own_bans.get(jail.name(), &banned.to_string());
                let note = own.map(|own| &*own.note).filter(|note| !note.is_empty());
                out.told.push(told(row, note.unwrap_or_default()));
                out.banned.push(json!({
                    "jail": jail.name(),
                    "since": row.since().map(rfc3339),
                    "until": row.until().map(rfc3339),
                    "times": row.count(),
                    "note": note,
                    "origin": Origin::of(jail.name()),
                    "actor": own.map(|own| json!({ "kind": own.actor.kind(), "name": own.actor.name() })),
                }));
            } else if banned.contains(net) && out.covered_by.len() < COVERS {
                out.covered_by.push(json!({ "network": banned.to_string(), "jail": jail.name(), "list": null }));
            }
        }
    }
    let set = ctx.held();
    if let Some(entry) = set.as_ref().and_then(|set| set.find(net).ok().flatten()) {
        let (since, until) = (i64::from(entry.since), i64::from(entry.until));
        if until > time::now() {
            out.told.push((BLOCKLIST_JAIL.to_owned(), Lasts::Seconds(until - since), Some(until), String::new()));
            out.banned.push(json!({
                "jail": BLOCKLIST_JAIL,
                "since": rfc3339(since),
                "until": rfc3339(until),
                "times": 1,
                "note": null,
                "origin": Origin::of(BLOCKLIST_JAIL),
                "actor": null,
            }));
        }
    }
    out
}

/// The entries of the never-ban list that keep it from being banned.
fn never_banned(ctx: &Ctx, net: &IpOrNet) -> Vec<Value> {
    let own = ctx.never_ban.covering(net).map(|entry| {
        let note = Some(entry.note.as_str()).filter(|note| !note.is_empty());
        json!({ "entry": entry.entry, "jail": "never-ban", "note": note, "until": entry.until.map(rfc3339) })
    });
    own.collect()
}

/// The entry of a jail's ignore list that does.
fn ignored_in(ctx: &mut Ctx, jail: &JailName, net: &IpOrNet) -> Result<Option<Value>, ApiError> {
    let entries = match ctx.daemon.ignore_list(jail) {
        Err(fail2ban::Error::NameTaken(_) | fail2ban::Error::UnknownJail(_)) => return Ok(None),
        other => other?,
    };
    let entry = net.ignored_by(&entries);
    Ok(entry.map(|entry| json!({ "entry": entry, "jail": jail.as_str(), "note": null, "until": null })))
}

/// Whether what is imported holds it, and by which of its entries: the set does not say which list brought one.
fn imported(ctx: &Ctx, net: &IpOrNet) -> Vec<Value> {
    let is_in_set = ctx.held().is_some_and(|set| set.covers(net, time::now()).unwrap_or(false));
    let jail = ctx.banned.held.jail(BLOCKLIST_JAIL);
    let is_in_jail = jail.is_some_and(|jail| {
        jail.rows()
            .iter()
            .filter(|row| row.may_cover(net))
            .any(|row| row.net().is_some_and(|banned| banned.contains(net)))
    });
    if is_in_set || is_in_jail { vec![json!({ "name": BLOCKLIST_JAIL })] } else { Vec::new() }
}

/// Earlier bans, the latest first.
fn past(ctx: &Ctx, recent: &[PastBan], out: &Out) -> Vec<Value> {
    let mut later: Vec<&str> = Vec::new();
    let mut all = Vec::with_capacity(recent.len());
    for ban in recent {
        let seconds = ban.ban_time.filter(|seconds| *seconds >= 0.0);
        let until = seconds.map(|seconds| ban.banned_at.saturating_add(seconds as i64));
        let goes_on = ban.ban_time.is_some() && until.is_none_or(|until| until > time::now());
        let runs = ctx.banned.held.jail(&ban.jail).is_some_and(JailBans::is_known);
        let is_out = out.told.iter().any(|(jail, ..)| *jail == ban.jail);
        // Nobody has let it out here, and still it is free: fail2ban was told so, or has lost it.
        let is_gone = goes_on && runs && !is_out && !later.contains(&ban.jail.as_str());
        let lift = ban.ours.lift.as_ref();
        all.push(json!({
            "jail": ban.jail,
            "at": rfc3339(ban.banned_at),
            "until": until.map(rfc3339),
            "lifted_at": lift.map(|lift| rfc3339(lift.at)),
            "lifted_by": lift.map(|lift| by(&lift.actor)).or_else(|| is_gone.then(|| "fail2ban".to_owned())),
            "note": Some(&ban.ours.note).filter(|note| !note.is_empty()),
            "lifted_note": lift.map(|lift| &lift.note).filter(|note| !note.is_empty()),
            "failures": ban.failures.max(0),
            "user": user_named(&ban.matches),
            "lines": ban.matches,
        }));
        later.push(&ban.jail);
    }
    all
}

/// Who lifted it, as one word or two.
fn by(actor: &Actor) -> String {
    match actor {
        Actor::User(name) => name.clone(),
        Actor::Token(name) => format!("token {name}"),
        Actor::System | Actor::Console => actor.kind().to_owned(),
    }
}

/// All of it in one sentence.
fn sentence(seen: &Seen, failing: &[Value]) -> String {
    let Seen { ip, out, ignored_by, bans, recent, .. } = seen;
    if let Some((jail, lasts, until, note)) = out.told.first() {
        let more = match out.told.len() - 1 {
            0 => String::new(),
            1 => " and 1 more jail".to_owned(),
            more => format!(" and {more} more jails"),
        };
        let end = match (lasts, until) {
            (Lasts::Forever, _) => " for good".to_owned(),
            (_, Some(until)) => format!(" until {}", rfc3339(*until)),
            _ => String::new(),
        };
        let why = if note.is_empty() { String::new() } else { format!(": \"{note}\"") };
        return format!("{ip} is banned{end} in {jail}{more}{why}.");
    }
    if let Some(network) = out.covered_by.first() {
        let text = |name: &str| network[name].as_str().unwrap_or_default().to_owned();
        return format!("{ip} is blocked as part of {}, in {}.", text("network"), text("jail"));
    }
    if let Some(entry) = ignored_by.first() {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        return match text("jail").as_str() {
            "never-ban" => {
                let entry = if text("entry") == *ip { String::new() } else { format!(" as {}", text("entry")) };
                let note = if text("note").is_empty() { String::new() } else { format!(": \"{}\"", text("note")) };
                format!("{ip} is never banned: it is on the never-ban list{entry}{note}.")
            }
            jail => format!("{ip} is not banned: {jail} ignores it ({}).", text("entry")),
        };
    }
    if let Some(fails) = failing.first() {
        let number = |name: &str| fails[name].as_i64().unwrap_or_default();
        let (jail, left) = (fails["jail"].as_str().unwrap_or_default(), number("left"));
        let more = if left == 1 { "one more and it is".to_owned() } else { format!("{left} more and it is") };
        return format!("{ip} is not banned. {} of {} failures in {jail}; {more}.", number("failures"), number("of"));
    }
    match recent.first() {
        None => format!("{ip} is not banned, and was never seen here."),
        Some(last) => {
            let times = if *bans == 1 { "once".to_owned() } else { format!("{bans} times") };
            format!(
                "{ip} is not banned now. It was banned {times}, last on {} in {}.",
                rfc3339(last.banned_at),
                last.jail
            )
        }
    }
}
