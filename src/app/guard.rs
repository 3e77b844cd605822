//! The guard of bans: whom a ban would shut out that hardly anybody means to shut out. What jails ignore is not its matter: the daemon is
//! asked for that.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::code::Code;
use super::error::ApiError;
use super::never_ban::Keeps;
use super::state::Ctx;
use crate::domain::address::IpOrNet;
use crate::domain::client::Client;
use crate::machine;

/// Who is protected, as it was when it was asked for.
#[derive(Debug)]
pub struct Guard {
    caller: Option<IpAddr>,
    own: Vec<IpAddr>,
    gateways: Vec<IpAddr>,
    proxies: Vec<IpOrNet>,
    /// Who is never banned, with the entry that says so.
    never: BTreeMap<IpOrNet, Keeps>,
    /// Those of them that are networks.
    networks: Vec<IpOrNet>,
}

impl Guard {
    /// Looks once who is who. Of the never-ban list, what holds in all jails counts, and what holds in one of `jails`.
    pub fn new(ctx: &Ctx, caller: Client, jails: &[&str]) -> Guard {
        let never: BTreeMap<IpOrNet, Keeps> = ctx.never_ban.kept_in(jails).into_iter().collect();
        Guard {
            networks: never.keys().filter(|net| net.is_network()).copied().collect(),
            never,
            caller: caller.address(),
            own: machine::own_addresses(),
            gateways: machine::gateways(),
            proxies: ctx.config.trusted_proxies.clone(),
        }
    }

    /// Why a ban of this would shut out the caller, this machine, its gateway or a proxy in front, or far too many: a word for programs and a
    /// sentence without its stop. `None` where nothing speaks against it.
    pub fn refuses(&self, target: &IpOrNet) -> Option<(&'static str, String)> {
        if let Some((reason, what)) = target.too_much() {
            return Some((reason, format!("{target} is {what}")));
        }
        let hit = |address: &IpAddr| target.contains_address(*address);
        let (reason, whose) = if self.caller.is_some_and(|address| hit(&address)) {
            (if target.is_network() { "contains_you" } else { "yourself" }, "your own address")
        } else if target.contains_address(IpAddr::from([127, 0, 0, 1])) || self.own.iter().any(hit) {
            ("this_machine", "an address of this machine")
        } else if self.gateways.iter().any(hit) {
            ("gateway", "the gateway of this machine")
        } else if self.proxies.iter().any(|proxy| proxy.overlaps(target)) {
            ("proxy", "a trusted proxy")
        } else {
            return Some(("never_ban", self.never_banned(target)?.said_of(&target.to_string())));
        };
        let verb = if target.is_network() { "contains" } else { "is" };
        Some((reason, format!("{target} {verb} {whose}")))
    }

    /// The entry of the never-ban list that has an address in common with this.
    fn never_banned(&self, target: &IpOrNet) -> Option<&Keeps> {
        if target.is_network() {
            return self.never.iter().find(|(net, _)| net.overlaps(target)).map(|(_, keeps)| keeps);
        }
        let covering = || self.networks.iter().find(|net| net.contains(target));
        self.never.get(target).or_else(|| self.never.get(covering()?))
    }

    /// 409 for what it refuses.
    pub fn check(&self, target: &IpOrNet) -> Result<(), ApiError> {
        let Some((reason, what)) = self.refuses(target) else { return Ok(()) };
        let error = ApiError::new(Code::Conflict, format!("{what}; use force to ban it all the same."))
            .with("ip", target.to_string())
            .with("reason", reason);
        Err(match self.never_banned(target).filter(|_| reason == "never_ban") {
            Some(keeps) => {
                let note = Some(keeps.note.as_str()).filter(|note| !note.is_empty());
                error.with("entry", keeps.entry.clone()).with("note", note)
            }
            None => error,
        })
    }
}
