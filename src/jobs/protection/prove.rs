//! Puts a jail to the proof, in a child: its actions ban an address that nobody has, the packet filter is looked at, and they lift it again.
//!
//! fail2ban is told to run the actions themselves, not to ban: so there is no row in its database, no count, no line `Ban` in its log, and
//! nothing for any history. Actions that do not ban by this machine's packet filter, such as mail and reports, are named and not run.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Place as Where;
use super::{asked, packet_filter};
use crate::domain::names::JailName;
use crate::domain::time;
use crate::fail2ban::{Daemon, Error};
use crate::jobs::bans::{CHANGES, answering, checked};
use crate::jobs::failure::Failure;
use crate::protection::facts::Action;
use crate::protection::prove::{Proof, fates};
use crate::protection::ruleset::{Place, Ruleset};

/// The network whose addresses nobody has (RFC 5737), and how many of them are tried where the first ones stand in the packet filter already.
const NOBODY: [u8; 3] = [192, 0, 2];
const MOST_TRIED: u8 = 32;
/// How long the ban would last if it were not lifted, in seconds: some actions hand it to the packet filter.
const LASTS: i64 = 60;

/// Put a jail to the proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prove {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// The jail.
    pub jail: String,
    /// Only tell what would be done.
    pub is_dry: bool,
    /// Only lift what one that died may have left.
    pub only_lifts: bool,
}

impl Prove {
    /// The proof as it is answered.
    pub fn run(self) -> Result<Value, Failure> {
        if self.only_lifts {
            // Where there is nobody to lift it any more, the rules went with him.
            let _ = self.begin().and_then(Begun::lift_what_is_left);
            return Ok(Value::Null);
        }
        let mut begun = self.begin()?;
        if begun.run.is_empty() {
            return Ok(begun.proof.shown());
        }
        let candidates: Vec<IpAddr> = (1..=MOST_TRIED).map(nobody).collect();
        match packet_filter::ruleset(&begun.run, begun.is_elsewhere, &candidates) {
            Err(why) => begun.proof.unseen = Some(why),
            Ok(before) => {
                let address = begun.free(&before, &candidates)?;
                begun.proof.address = address.to_string();
                if !self.is_dry {
                    begun.prove(&before, address)?;
                }
            }
        }
        Ok(begun.proof.shown())
    }

    /// The jail's actions, as fail2ban has loaded them.
    fn begin(&self) -> Result<Begun, Failure> {
        let jail = checked(&self.jail)?;
        let mut daemon = answering(&self.socket, CHANGES)?;
        // An unknown jail is told from one without actions.
        daemon.counters(&jail)?;
        let is_elsewhere = Where::of(daemon.client().daemon_pid()).other_network;
        let actions = asked::actions(&mut daemon, &jail)?;
        let (run, spared): (Vec<Action>, Vec<Action>) = actions.into_iter().partition(Action::filters_packets);
        let names = |all: &[Action]| all.iter().map(|action| action.name.clone()).collect();
        let proof = Proof {
            jail: self.jail.clone(),
            address: nobody(1).to_string(),
            is_dry: self.is_dry,
            run: names(&run),
            spared: names(&spared),
            ..Proof::default()
        };
        Ok(Begun { daemon, jail, is_elsewhere, run, proof })
    }
}

/// One that has begun.
struct Begun {
    daemon: Daemon,
    jail: JailName,
    /// fail2ban has another packet filter than we see.
    is_elsewhere: bool,
    run: Vec<Action>,
    proof: Proof,
}

fn nobody(last: u8) -> IpAddr {
    let [a, b, c] = NOBODY;
    IpAddr::V4(Ipv4Addr::new(a, b, c, last))
}

impl Begun {
    /// The first address that is neither banned nor in the packet filter; the very first where all are, as with a list of networks that nobody
    /// uses.
    fn free(&mut self, before: &Ruleset, all: &[IpAddr]) -> Result<IpAddr, Error> {
        for address in all {
            if before.places(*address).is_empty() && !self.daemon.is_banned(&self.jail, &address.to_string())? {
                return Ok(*address);
            }
        }
        Ok(nobody(1))
    }

    fn prove(&mut self, before: &Ruleset, address: IpAddr) -> Result<(), Failure> {
        let names = self.proof.run.clone();
        for action in &names {
            match self.daemon.run_action(&self.jail, action, "ban", &told(address)) {
                Ok(()) => {}
                Err(Error::Refused { message, .. }) => self.proof.failed.push(format!("{action}: {message}")),
                Err(error) => {
                    // What came before it is taken back, as far as fail2ban still listens.
                    let _ = self.lift(address);
                    return Err(error.into());
                }
            }
        }
        let seen = packet_filter::ruleset(&self.run, false, &[address]);
        let lifted = self.lift(address);
        let seen = seen.map_err(Failure::CommandFailed)?;
        lifted?;
        let old = before.places(address);
        let is_new = |place: &Place| !old.contains(place);
        let found: Vec<Place> = seen.places(address).into_iter().filter(is_new).collect();
        self.proof.fates = fates(&seen, address, &found);
        self.proof.found = found;
        let after = packet_filter::ruleset(&self.run, false, &[address]).map_err(Failure::CommandFailed)?;
        self.proof.left = after.places(address).into_iter().filter(is_new).collect();
        let made = after.chains.iter().filter(|chain| before.chain(&chain.table, &chain.name).is_none());
        self.proof.made = made.map(|chain| format!("chain {} of table {}", chain.name, chain.table)).collect();
        Ok(())
    }

    /// Has every action lift it.
    fn lift(&mut self, address: IpAddr) -> Result<(), Error> {
        for action in &self.run {
            match self.daemon.run_action(&self.jail, &action.name, "unban", &told(address)) {
                Ok(()) => {}
                Err(Error::Refused { message, .. }) => {
                    self.proof.not_lifted.push(format!("{}: {message}", action.name))
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lifts what stands in the packet filter and is not banned.
    fn lift_what_is_left(mut self) -> Result<(), Failure> {
        let candidates: Vec<IpAddr> = (1..=MOST_TRIED).map(nobody).collect();
        let rules =
            packet_filter::ruleset(&self.run, self.is_elsewhere, &candidates).map_err(Failure::CommandFailed)?;
        for address in candidates.into_iter().filter(|address| !rules.places(*address).is_empty()) {
            if !self.daemon.is_banned(&self.jail, &address.to_string())? {
                self.lift(address)?;
            }
        }
        Ok(())
    }
}

/// What an action is told of a ban, by the names that its commands use.
fn told(address: IpAddr) -> Value {
    let text = address.to_string();
    let (family, reverse) = match address {
        IpAddr::V4(own) => {
            let [a, b, c, d] = own.octets();
            ("inet4", format!("{d}.{c}.{b}.{a}."))
        }
        IpAddr::V6(_) => ("inet6", String::new()),
    };
    json!({ "aInfo": {
        "ip": text, "fid": text, "family": family, "ip-rev": reverse, "ip-host": text, "raw-ticket": "", "F-ID": text,
        "time": time::now(), "bantime": LASTS, "bancount": 1, "failures": 0, "attempts": 0, "restored": "0",
        "matches": "", "ipmatches": "", "ipjailmatches": "", "ipfailures": 0, "ipjailfailures": 0, "F-USER": "",
    }})
}
