//! Our own bans as plain text, one address a line, for firewalls and other servers that subscribe to a list. What was imported from a list
//! is not in it: it would come back to whoever it was taken from.

use crate::app::banned::Readiness;
use crate::app::span::Span;
use crate::app::{ApiError, Ctx, Outcome, Request, Step};
use crate::domain::address::IpOrNet;
use crate::domain::history::Origin;
use crate::domain::names::JailName;
use crate::domain::time;
use crate::held::pick::{self, Wanted};
use crate::held::row::{Lasts, Row};
use crate::server::response::Response;

/// Lines that are written in one step; a list that is no longer is answered whole.
const WRITTEN: usize = 2000;

/// `GET /api/v1/bans.txt`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let query = request.query();
    let jail = request.jail_asked()?;
    let origin: Option<Origin> = query.get("origin")?;
    let Span(least) = query.get("min_left")?.unwrap_or(Span(0));
    if let Readiness::Reading = ctx.ready_bans(jail.as_ref(), request)? {
        return Ok(Outcome::Again);
    }
    let among = request.admitted.jails().map(<[String]>::to_vec);
    let wanted = Wanted { jail: jail.as_ref().map(JailName::to_string), among, origin, ..Wanted::default() };
    let all = addresses(ctx, &wanted, least);
    let state = ctx.number(&(request.admitted.seed, &all));
    let (mut at, mut is_named) = (0, (1..=WRITTEN).contains(&all.len()));
    Ok(Outcome::Steps(Box::new(move |_| {
        // What is streamed has its tag before its first line.
        if !std::mem::replace(&mut is_named, true) {
            return Ok(Step::State(state));
        }
        let some = &all[at..all.len().min(at + WRITTEN)];
        at += some.len();
        let text: String = some.iter().map(|net| format!("{net}\n")).collect();
        Ok(match at < all.len() {
            true => Step::Part(text.into_bytes()),
            false => Step::Done(Response::json_bytes(200, text.into_bytes())),
        })
    })))
}

/// What is banned for at least so many seconds more, each once, in order. 18 bytes each: 100 000 are 1.8 MB while they are sent.
fn addresses(ctx: &Ctx, wanted: &Wanted, least: i64) -> Vec<IpOrNet> {
    let end = time::now().saturating_add(least);
    let stays = |row: &Row| match row.lasts() {
        Lasts::Forever => true,
        Lasts::Unknown => least == 0,
        Lasts::Seconds(_) => row.until().is_none_or(|until| until >= end),
    };
    let own = pick::of_jails(&ctx.banned.held, wanted).filter(|(_, jail)| Origin::of(jail.name()) != Origin::Blocklist);
    let rows = own.flat_map(|(_, jail)| jail.rows()).filter(|row| stays(row));
    let mut all: Vec<IpOrNet> = rows.filter_map(Row::net).collect();
    all.sort_unstable();
    all.dedup();
    all
}
