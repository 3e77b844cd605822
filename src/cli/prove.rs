//! `bangui prove`: whether a jail keeps out what it bans, tried with an address that nobody has.

use serde_json::Value;

use super::ask::{Asked, encoded};
use super::invocation::{Failure, Invocation};
use super::protection::one;
use super::show::{object, text};
use super::table::{plain, print};

/// `bangui prove JAIL`: it ends with 1 where the jail does not keep out, or where that cannot be told, so that a script can ask.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let [jail] = invocation.arguments.as_slice() else {
        return Err(Failure::usage("prove: which jail? bangui jails lists them"));
    };
    let asked = Asked::open(invocation)?;
    let dry = if invocation.option("dry-run").is_some() { "?dry_run=true" } else { "" };
    let proof: Value = asked.send("POST", &format!("/jails/{}/prove{dry}", encoded(jail)), None)?;
    if invocation.is_json() {
        object(&proof);
    } else {
        print(&format!("{}\n", plain(&text(&proof, "sentence"))));
        proof["steps"].as_array().into_iter().flatten().for_each(one);
    }
    match (proof["level"].as_str(), proof["dry_run"].as_bool()) {
        (Some("ok"), _) | (_, Some(true)) => Ok(()),
        (Some("unknown"), _) => Err(Failure::failed("it could not be proved, as told above")),
        _ => Err(Failure::failed("it does not keep out, as told above")),
    }
}
