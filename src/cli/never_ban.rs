//! `bangui never-ban`: who is never banned, shown, added to and taken from.

use serde_json::{Value, json};

use super::ask::{Asked, encoded};
use super::invocation::{Failure, Invocation};
use super::show::{number, object, text, time};
use super::table::{Table, print};

/// `bangui never-ban [list | add ENTRY | remove ID-OR-ENTRY... | clear]`
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let words: Vec<&str> = invocation.arguments.iter().map(String::as_str).collect();
    let only_add = ["note", "for", "until", "jail", "force"];
    if words.first() != Some(&"add")
        && let Some(option) = only_add.iter().find(|name| invocation.option(name).is_some())
    {
        return Err(Failure::usage(format!("--{option} goes with never-ban add; see bangui help never-ban")));
    }
    match words.as_slice() {
        [] | ["list"] => list(invocation),
        ["add", entry] => add(invocation, entry),
        ["remove", first, rest @ ..] => remove(invocation, [&[*first], rest].concat()),
        ["clear"] => clear(invocation),
        ["add", ..] => Err(Failure::usage("never-ban add takes one address, network or host name")),
        ["remove"] => Err(Failure::usage("never-ban remove: which entry? Name its number, or the entry itself")),
        _ => Err(Failure::usage("never-ban is followed by list, add ENTRY, remove ID-OR-ENTRY or clear")),
    }
}

fn list(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    let found = all(&asked)?;
    if invocation.is_json() {
        object(&found);
        return Ok(());
    }
    let mut table = Table::new(&["ID", "ENTRY", "JAILS", "UNTIL", "WHO", "NOTE"]);
    for item in items(&found) {
        let jails: Vec<&str> = item["jails"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let source = &item["source"];
        let note = match source["file"].as_str() {
            Some(file) => format!("in {file}, line {}", number(&source["line"])),
            None => text(item, "note"),
        };
        let actor = &item["actor"];
        let who = if text(actor, "name").is_empty() { text(actor, "kind") } else { text(actor, "name") };
        table.row(vec![
            if item["id"].is_null() { "-".to_owned() } else { number(&item["id"]) },
            text(item, "entry"),
            if jails.is_empty() { "all".to_owned() } else { jails.join(", ") },
            if item["until"].is_null() { "for ever".to_owned() } else { time(&item["until"]) },
            if item["actor"].is_null() { "-".to_owned() } else { who },
            note,
        ]);
    }
    table.print();
    if table.rows() == 0 {
        print("Nobody is on the list.\n");
    }
    if let Some(problem) = found["problem"].as_str() {
        print(&format!("Not in force as it should be: {problem}\n"));
    }
    Ok(())
}

fn add(invocation: &Invocation, entry: &str) -> Result<(), Failure> {
    let mut body = json!({ "entry": entry });
    for (option, field) in [("note", "note"), ("for", "duration"), ("until", "until")] {
        if let Some(text) = invocation.option(option) {
            body[field] = json!(text);
        }
    }
    if let Some(jails) = invocation.option("jail") {
        body["jails"] = jails.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    }
    if invocation.option("force").is_some() {
        body["force"] = json!(true);
    }
    let asked = Asked::open(invocation)?;
    let made = asked.send("POST", "/never-ban", Some(&body))?;
    if invocation.is_json() {
        object(&made);
        return Ok(());
    }
    let end = if made["until"].is_null() { "for ever".to_owned() } else { format!("until {}", time(&made["until"])) };
    let mut line = format!("{} is never banned, {end}.", text(&made, "entry"));
    let lifted = made["lifted"].as_array().map_or(0, Vec::len);
    match lifted {
        0 => {}
        1 => line.push_str(" One ban was lifted."),
        many => line.push_str(&format!(" {many} bans were lifted.")),
    }
    if made["in_force"] == json!(false) {
        line.push_str(" It is not in force everywhere yet; bangui never-ban says why.");
    }
    print(&format!("{line}\n"));
    Ok(())
}

fn remove(invocation: &Invocation, names: Vec<&str>) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    for name in &names {
        asked.send("DELETE", &format!("/never-ban/{}", encoded(name)), None)?;
        if !invocation.is_json() {
            print(&format!("{name} is off the list.\n"));
        }
    }
    if invocation.is_json() {
        object(&json!({ "removed": names }));
    }
    Ok(())
}

/// All entries and both files, before an uninstall for example.
fn clear(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    let found = all(&asked)?;
    let ids: Vec<String> =
        items(&found).filter(|item| !item["id"].is_null()).map(|item| item["id"].to_string()).collect();
    for id in &ids {
        asked.send("DELETE", &format!("/never-ban/{id}"), None)?;
    }
    if invocation.is_json() {
        object(&json!({ "removed": ids.len() }));
    } else {
        print(match ids.len() {
            0 => "Nobody was on the list.\n",
            _ => "The list is empty, and its files are gone from fail2ban's configuration.\n",
        });
    }
    Ok(())
}

/// The whole list, whatever it takes pages.
fn all(asked: &Asked) -> Result<Value, Failure> {
    let mut found = asked.get("/never-ban?page_size=500")?;
    let mut page = 1;
    while found["pagination"]["has_next_page"] == json!(true) {
        page += 1;
        let mut next = asked.get(&format!("/never-ban?page_size=500&page={page}"))?;
        let more = next["items"].take();
        if let (Some(all), Value::Array(more)) = (found["items"].as_array_mut(), more) {
            all.extend(more);
        }
        found["pagination"] = next["pagination"].take();
    }
    Ok(found)
}

fn items(found: &Value) -> impl Iterator<Item = &Value> {
    found["items"].as_array().into_iter().flatten()
}
