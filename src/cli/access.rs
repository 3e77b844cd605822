//! `bangui user`, `bangui token` and `bangui audit`: who may log in, which programs have keys, and what they have done. Whoever sits at the machine needs no password for it.

use serde_json::{Value, json};

use super::ask::{Asked, encoded};
use super::invocation::{Failure, Invocation};
use super::show::{number, object, text, time};
use super::table::{Table, print};

/// `bangui user [list | add NAME | role NAME ROLE | password NAME | remove NAME...]`
pub fn user(invocation: &Invocation) -> Result<(), Failure> {
    let words: Vec<&str> = invocation.arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["list"] => list(invocation, "/users", &["NAME", "ROLE", "SINCE"], |item| {
            vec![text(item, "name"), text(item, "role"), time(&item["created_at"])]
        }),
        ["add", name] => {
            let role = invocation.option("role").unwrap_or("viewer");
            let body = json!({ "name": name, "role": role, "new_password": invocation.new_password()? });
            change(invocation, "POST", "/users", &body, &format!("{name} may log in, as {role}."))
        }
        ["role", name, role] => {
            let path = format!("/users/{}", encoded(name));
            change(invocation, "PUT", &path, &json!({ "role": role }), &format!("{name} is {role} now."))
        }
        ["password", name] => {
            let body = json!({ "new_password": invocation.new_password()? });
            let said = format!("The password of {name} is changed, and the sessions of {name} have ended.");
            change(invocation, "PUT", &format!("/users/{}", encoded(name)), &body, &said)
        }
        ["remove", first, rest @ ..] => remove(invocation, "/users", &[&[*first], rest].concat()),
        _ => Err(Failure::usage("user is followed by list, add NAME, role NAME ROLE, password NAME or remove NAME")),
    }
}

/// `bangui token [list | add NAME | rotate ID | remove ID...]`
pub fn token(invocation: &Invocation) -> Result<(), Failure> {
    let words: Vec<&str> = invocation.arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["list"] => {
            list(invocation, "/tokens", &["ID", "NAME", "MADE BY", "SCOPES", "JAILS", "FROM", "LAST USED"], |item| {
                let joined = |field: &str| {
                    let list: Vec<&str> =
                        item[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                    if list.is_empty() { "all".to_owned() } else { list.join(", ") }
                };
                let used =
                    if item["last_used_at"].is_null() { "never".to_owned() } else { time(&item["last_used_at"]) };
                let from = joined("allowed_ips");
                vec![
                    number(&item["id"]),
                    text(item, "name"),
                    text(item, "user"),
                    joined("scopes"),
                    joined("jails"),
                    from,
                    used,
                ]
            })
        }
        ["add", name] => add(invocation, name),
        ["rotate", id] => show_key(invocation, "POST", &format!("/tokens/{}/rotate", encoded(id)), None),
        ["remove", first, rest @ ..] => remove(invocation, "/tokens", &[&[*first], rest].concat()),
        _ => Err(Failure::usage("token is followed by list, add NAME, rotate ID or remove ID")),
    }
}

fn add(invocation: &Invocation, name: &str) -> Result<(), Failure> {
    let listed = |option: &str| -> Option<Vec<&str>> {
        let text = invocation.option(option)?;
        Some(text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect())
    };
    let mut body = json!({ "name": name, "scopes": listed("scope").unwrap_or_else(|| vec!["read"]) });
    for (option, field) in [("jail", "jails"), ("from", "allowed_ips")] {
        if let Some(list) = listed(option) {
            body[field] = json!(list);
        }
    }
    if let Some(end) = invocation.option("until") {
        body["expires_at"] = json!(end);
    }
    show_key(invocation, "POST", "/tokens", Some(&body))
}

/// The key alone on standard output, so that it can be piped where it belongs.
fn show_key(invocation: &Invocation, method: &str, path: &str, body: Option<&Value>) -> Result<(), Failure> {
    let made = Asked::open(invocation)?.send(method, path, body)?;
    if invocation.is_json() {
        object(&made);
        return Ok(());
    }
    print(&format!("{}\n", text(&made, "token")));
    eprintln!("This is shown once. Send it as: Authorization: Bearer {}...", text(&made, "prefix"));
    Ok(())
}

fn list(
    invocation: &Invocation,
    path: &str,
    head: &[&'static str],
    row: fn(&Value) -> Vec<String>,
) -> Result<(), Failure> {
    let found = Asked::open(invocation)?.get(&format!("{path}?page_size=500"))?;
    if invocation.is_json() {
        object(&found);
        return Ok(());
    }
    let mut table = Table::new(head);
    found["items"].as_array().into_iter().flatten().for_each(|item| table.row(row(item)));
    table.print();
    if table.rows() == 0 {
        print("There are none.\n");
    }
    Ok(())
}

fn change(invocation: &Invocation, method: &str, path: &str, body: &Value, said: &str) -> Result<(), Failure> {
    let now = Asked::open(invocation)?.send(method, path, Some(body))?;
    if invocation.is_json() {
        object(&now)
    } else {
        print(&format!("{said}\n"))
    }
    Ok(())
}

fn remove(invocation: &Invocation, path: &str, names: &[&str]) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    for name in names {
        asked.send("DELETE", &format!("{path}/{}", encoded(name)), None)?;
        if !invocation.is_json() {
            print(&format!("{name} is gone.\n"));
        }
    }
    if invocation.is_json() {
        object(&json!({ "removed": names }));
    }
    Ok(())
}

/// The filters of `bangui audit`, as the API names them.
const FILTERS: [(&str, &str); 6] = [
    ("event-type", "event_type"),
    ("actor", "actor"),
    ("client", "client"),
    ("from", "from"),
    ("to", "to"),
    ("search", "q"),
];

/// `bangui audit`: what people and programs have done, the latest first.
pub fn audit(invocation: &Invocation) -> Result<(), Failure> {
    let mut query = format!("/audit?page_size={}", invocation.option("number").unwrap_or("50"));
    for (option, name) in FILTERS {
        if let Some(value) = invocation.option(option) {
            query.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let found = Asked::open(invocation)?.get(&query)?;
    if invocation.is_json() {
        object(&found);
        return Ok(());
    }
    let mut table = Table::new(&["AT", "EVENT", "WHO", "FROM", "TARGET", "MORE"]);
    for event in found["items"].as_array().into_iter().flatten() {
        let name = text(&event["actor"], "name");
        let who = if name.is_empty() { text(&event["actor"], "kind") } else { name };
        let changes = event["changes"].as_array().into_iter().flatten().map(|change| {
            format!("{}: {} -> {}", text(change, "field"), shown(&change["before"]), shown(&change["after"]))
        });
        let more: Vec<String> =
            Some(text(event, "detail")).filter(|text| !text.is_empty()).into_iter().chain(changes).collect();
        table.row(vec![
            time(&event["at"]),
            text(event, "event_type"),
            who,
            text(event, "client"),
            text(event, "target"),
            more.join("; "),
        ]);
    }
    table.print();
    let (shown, total) = (table.rows(), found["pagination"]["total"].as_u64().unwrap_or(0));
    if total > shown as u64 {
        print(&format!("{shown} of {total}; --number shows more, up to 500.\n"));
    } else if total == 0 {
        print("There are none.\n");
    }
    Ok(())
}

/// A value of a change in one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
