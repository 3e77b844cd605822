//! `bangui pause` and `resume`: a jail rests for some time.

use serde_json::json;

use super::ask::{Asked, encoded};
use super::invocation::{Failure, Invocation};
use super::show::{object, text};
use super::table::print;

/// `bangui pause JAIL --for TIME`
pub fn pause(invocation: &Invocation) -> Result<(), Failure> {
    let Some(time) = invocation.option("for") else {
        return Err(Failure::usage("pause: for how long? --for takes 10m, 2h, or -1 for no end"));
    };
    send(invocation, "pause", Some(json!({ "for": time })))
}

/// `bangui resume JAIL`
pub fn resume(invocation: &Invocation) -> Result<(), Failure> {
    send(invocation, "resume", None)
}

fn send(invocation: &Invocation, what: &str, body: Option<serde_json::Value>) -> Result<(), Failure> {
    let [jail] = invocation.arguments.as_slice() else {
        return Err(Failure::usage(format!("{what}: which jail? bangui jails lists them")));
    };
    let asked = Asked::open(invocation)?;
    let answer = asked.send("POST", &format!("/jails/{}/{what}", encoded(jail)), body.as_ref())?;
    if invocation.is_json() {
        object(&answer);
    } else {
        print(&format!("{}\n", text(&answer, "message")));
    }
    Ok(())
}
