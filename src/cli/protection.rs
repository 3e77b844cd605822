//! `bangui protection`: whether this machine is protected.

use serde_json::Value;

use super::ask::{Asked, encoded};
use super::invocation::{Failure, Invocation};
use super::show::{object, text};
use super::table::{plain, print};

/// `bangui protection [JAIL]`: looks now. It ends with 1 where somebody should look, so that a script can ask.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    let mut verdict = match asked.send("POST", "/protection/check", None) {
        Ok(verdict) => verdict,
        // Whoever may not have it look now, in read-only mode for example, sees what was found last.
        Err(refused) if refused.code == 1 => asked.get("/protection")?,
        Err(failure) => return Err(failure),
    };
    let mut parts = "findings";
    if let Some(jail) = invocation.arguments.first() {
        verdict = asked.get(&format!("/jails/{}/check", encoded(jail)))?;
        parts = "steps";
    }
    if invocation.is_json() {
        object(&verdict);
    } else {
        print(&format!("{}\n", plain(&text(&verdict, "sentence"))));
        verdict[parts].as_array().into_iter().flatten().for_each(one);
    }
    match verdict["level"].as_str() {
        Some("ok" | "unknown") => Ok(()),
        _ => Err(Failure::failed("something is wrong, as told above")),
    }
}

/// A finding, or a step of a jail.
pub(super) fn one(part: &Value) {
    let level = match part["rest"].is_object() {
        true => "at rest".to_owned(),
        false => text(part, "level"),
    };
    print(&format!("\n{level:<8} {}\n", plain(&text(part, "sentence"))));
    for line in [text(part, "detail"), text(&part["remedy"], "text")] {
        if !line.is_empty() {
            print(&format!("         {}\n", plain(&line)));
        }
    }
}
