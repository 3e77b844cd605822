//! `bangui changes` and `bangui undo`: what was changed in the configuration, by whom, and the way back.

use serde_json::Value;

use super::ask::Asked;
use super::invocation::{Failure, Invocation};
use super::show::{number, object, text, time, word};
use super::table::{Table, plain, print};

/// `bangui changes [ID]`
pub fn changes(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    if let Some(id) = invocation.arguments.first() {
        let answer = asked.get(&format!("/config/changes/{}", self::id(id)?))?;
        if invocation.is_json() {
            object(&answer);
        } else {
            one(&answer["change"]);
        }
        return Ok(());
    }
    let changes = asked.get("/config/changes")?;
    if invocation.is_json() {
        object(&changes);
        return Ok(());
    }
    let mut table = Table::new(&["ID", "WHEN", "WHO", "JAILS", "FILES"]);
    for change in changes["items"].as_array().into_iter().flatten() {
        let undone = match (&change["undoes"], &change["undone_by"]) {
            (Value::Null, Value::Null) => String::new(),
            (Value::Null, by) => format!(" (undone by {})", word(by)),
            (other, _) => format!(" (undoes {})", word(other)),
        };
        table.row(vec![
            number(&change["id"]),
            time(&change["at"]),
            who(change),
            words(&change["jails"]),
            words(&change["paths"]) + &undone,
        ]);
    }
    table.print();
    if table.rows() == 0 {
        print("Nothing was changed yet.\n");
    }
    Ok(())
}

/// `bangui undo ID`
pub fn undo(invocation: &Invocation) -> Result<(), Failure> {
    let [id] = invocation.arguments.as_slice() else {
        return Err(Failure::usage("undo: which change? bangui changes lists them with their numbers"));
    };
    let asked = Asked::open(invocation)?;
    let answer = asked.send("POST", &format!("/config/changes/{}/undo", self::id(id)?), None)?;
    if invocation.is_json() {
        object(&answer);
    } else {
        one(&answer["change"]);
    }
    Ok(())
}

fn id(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("{text:?} is no number of a change; bangui changes lists them")))
}

fn who(change: &Value) -> String {
    let actor = &change["actor"];
    match (change["by_hand"].as_bool(), text(actor, "name")) {
        (Some(true), _) => "by hand".to_owned(),
        (_, name) if name.is_empty() => text(actor, "kind"),
        (_, name) => name,
    }
}

fn words(list: &Value) -> String {
    list.as_array().into_iter().flatten().map(word).collect::<Vec<_>>().join(", ")
}

/// A change with its diffs, what they mean, and the steps it went through.
fn one(change: &Value) {
    print(&format!("Change {}, {}, {}\n", number(&change["id"]), time(&change["at"]), who(change)));
    for effect in change["effect"].as_array().into_iter().flatten() {
        let (before, after) = (value(&effect["before"]), value(&effect["after"]));
        print(&format!("{}: {} {before} -> {after}\n", text(effect, "jail"), text(effect, "field").replace('_', " ")));
    }
    for file in change["files"].as_array().into_iter().flatten() {
        print("\n");
        for line in text(file, "diff").lines() {
            print(&format!("{}\n", plain(line)));
        }
    }
    print("\n");
    for step in change["report"].as_array().into_iter().flatten() {
        print(&format!("{}\n", plain(&text(step, "sentence"))));
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Array(_) => words(value),
        other => plain(&word(other)),
    }
}
