//! `bangui bans`, `ban` and `unban`: who is out, and who is to be.

use std::io::Read;

use serde_json::{Value, json};

use super::ask::{Asked, encoded};
use super::invocation::{Failure, Invocation};
use super::show::{number, object, text, time, word};
use super::table::{Table, plain, print};
use crate::domain::address::IpOrNet;
use crate::machine;

/// The longest list that is read from standard input, in bytes.
const LONGEST_LIST: u64 = 4 * 1024 * 1024;

/// The most addresses of one request.
const MOST: usize = 10_000;

/// `bangui bans [JAIL]`: who is banned now.
pub fn list(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    let path = match invocation.arguments.first() {
        Some(jail) => format!("/bans/active?jail={}", encoded(jail)),
        None => "/bans/active".to_owned(),
    };
    let bans = asked.get(&path)?;
    if invocation.is_json() {
        object(&bans);
        return Ok(());
    }
    let mut table = Table::new(&["ADDRESS", "JAIL", "SINCE", "UNTIL", "TIMES", "COUNTRY"]);
    for ban in bans["items"].as_array().into_iter().flatten() {
        let until = if ban["expires_at"].is_null() { "for ever".to_owned() } else { time(&ban["expires_at"]) };
        table.row(vec![
            text(ban, "ip"),
            text(ban, "jail"),
            time(&ban["banned_at"]),
            until,
            number(&ban["ban_count"]),
            word(&ban["country"]),
        ]);
    }
    table.print();
    if table.rows() == 0 {
        print("Nobody is banned.\n");
    }
    Ok(())
}

/// `bangui ban ADDRESS...`
pub fn ban(invocation: &Invocation) -> Result<(), Failure> {
    let addresses = addresses(invocation)?;
    let force = invocation.option("force").is_some();
    if !force && let Some(own) = machine::ssh_connection().map(|way| way.client) {
        let hit = addresses.iter().find(|text| text.parse::<IpOrNet>().is_ok_and(|net| net.contains_address(own)));
        if let Some(hit) = hit {
            return Err(Failure::failed(format!(
                "{hit} is where you come from ({own}): you would lose this connection; --force bans it all the same"
            )));
        }
    }
    let asked = Asked::open(invocation)?;
    let jail = match invocation.option("jail") {
        Some(jail) => jail.to_owned(),
        None => only_jail(&asked)?,
    };
    let mut body = json!({ "jail": jail });
    if force {
        body["force"] = json!(true);
    }
    for (option, field) in [("for", "duration"), ("note", "note")] {
        if let Some(text) = invocation.option(option) {
            body[field] = json!(text);
        }
    }
    if addresses.len() > 1 {
        return together(invocation, &asked, "/bans/bulk", &addresses, body);
    }
    each(invocation, &addresses, |address| {
        body["ip"] = json!(address);
        asked.send("POST", "/bans", Some(&body))
    })
}

/// `bangui unban ADDRESS...`, or `--me`, or `--all`.
pub fn unban(invocation: &Invocation) -> Result<(), Failure> {
    let never_again = invocation.option("never-again").is_some();
    if !never_again && invocation.option("for").is_some() {
        let line = "--for says how long somebody is not banned again: it goes with unban --never-again";
        return Err(Failure::usage(line));
    }
    if invocation.option("all").is_some() {
        if never_again {
            return Err(Failure::usage("--never-again is said of addresses, not of everybody"));
        }
        let asked = Asked::open(invocation)?;
        let answer = match invocation.option("note") {
            Some(note) => asked.send("DELETE", "/bans", Some(&json!({ "unban_all": true, "note": note })))?,
            None => asked.send("DELETE", "/bans/all", None)?,
        };
        if invocation.is_json() {
            object(&answer);
        } else {
            print(&format!("{}\n", text(&answer, "message")));
        }
        return Ok(());
    }
    let addresses = match invocation.option("me") {
        Some(_) => {
            vec![machine::ssh_connection().map(|way| way.client).map(|address| address.to_string()).ok_or_else(
                || {
                    Failure::usage(
                        "--me: this is no SSH session, so where you come from is not known; name the address",
                    )
                },
            )?]
        }
        None => addresses(invocation)?,
    };
    let asked = Asked::open(invocation)?;
    let jail = invocation.option("jail");
    if never_again {
        return each(invocation, &addresses, |address| {
            let mut body = json!({ "never_again": true, "jails": jail.into_iter().collect::<Vec<_>>() });
            for (option, field) in [("for", "duration"), ("note", "note")] {
                if let Some(text) = invocation.option(option) {
                    body[field] = json!(text);
                }
            }
            asked.send("POST", &format!("/addresses/{}/release", encoded(address)), Some(&body))
        });
    }
    let mut body = json!({});
    for (field, value) in [("jail", jail), ("note", invocation.option("note"))] {
        if let Some(value) = value {
            body[field] = json!(value);
        }
    }
    if addresses.len() > 1 {
        return together(invocation, &asked, "/bans/bulk/remove", &addresses, body);
    }
    each(invocation, &addresses, |address| {
        body["ip"] = json!(address);
        asked.send("DELETE", "/bans", Some(&body))
    })
}

/// Bans or lets out a whole list by one request, or by one for each 10 000, tells what became of each, and fails where one was left as it was.
fn together(
    invocation: &Invocation,
    asked: &Asked,
    path: &str,
    addresses: &[String],
    mut body: Value,
) -> Result<(), Failure> {
    let jail = body["jail"].as_str().map(str::to_owned);
    let (mut documents, mut left) = (Vec::new(), 0);
    for some in addresses.chunks(MOST) {
        body["ips"] = json!(some);
        let mut answer = asked.send_and_wait("POST", path, &body)?;
        let is_done = |result: &str| matches!(result, "banned" | "was_banned" | "unbanned" | "not_banned");
        for item in answer["results"].as_array_mut().into_iter().flatten() {
            let success = is_done(item["result"].as_str().unwrap_or_default());
            left += usize::from(!success);
            if !invocation.is_json() {
                tell(item, jail.as_deref(), success);
            }
            item["success"] = json!(success);
        }
        if !invocation.is_json() {
            print(&format!("{}\n", text(&answer, "message")));
        }
        documents.push(answer);
    }
    if invocation.is_json() {
        let mut documents = documents.into_iter();
        let mut whole = documents.next().unwrap_or_default();
        // What a list was cut into is one list again.
        for mut other in documents {
            if let (Some(all), Value::Array(more)) = (whole["results"].as_array_mut(), other["results"].take()) {
                all.extend(more);
            }
            whole["total"] = json!(whole["total"].as_u64().unwrap_or(0) + other["total"].as_u64().unwrap_or(0));
            for (kind, count) in other["counts"].as_object().into_iter().flatten() {
                let count = whole["counts"][kind].as_u64().unwrap_or(0) + count.as_u64().unwrap_or(0);
                whole["counts"][kind] = json!(count);
            }
        }
        object(&whole);
    }
    match left {
        0 => Ok(()),
        left => Err(Failure::failed(format!("{left} of {} were left as they were", addresses.len()))),
    }
}

/// What became of one address of a list: on standard error where it was left as it was.
fn tell(item: &Value, jail: Option<&str>, success: bool) {
    let ip = plain(&text(item, "ip"));
    let place = jail.map(|jail| format!(" in {jail}")).unwrap_or_default();
    let line = match item["result"].as_str().unwrap_or_default() {
        "banned" => format!("{ip} is banned{place}."),
        "was_banned" => format!("{ip} was banned{place} already."),
        "unbanned" => format!("{ip} is no longer banned."),
        "not_banned" => format!("{ip} was not banned."),
        other => match item["detail"].as_str() {
            Some(detail) => format!("{ip}: {}", plain(detail)),
            None => format!("{ip}: {}", other.replace('_', " ")),
        },
    };
    if success {
        print(&format!("{line}\n"));
    } else {
        eprintln!("bangui: {line}");
    }
}

/// Does something with each address, tells what became of it, and fails where one of them failed.
fn each(
    invocation: &Invocation,
    addresses: &[String],
    mut work: impl FnMut(&str) -> Result<Value, Failure>,
) -> Result<(), Failure> {
    let mut results = Vec::new();
    let mut failed: Vec<Failure> = Vec::new();
    for address in addresses {
        match work(address) {
            Ok(answer) => {
                if !invocation.is_json() {
                    print(&format!("{}\n", text(&answer, "message")));
                }
                results.push(json!({ "ip": address, "success": true, "message": answer["message"] }));
            }
            Err(failure) => {
                results.push(json!({ "ip": address, "success": false, "message": failure.line }));
                failed.push(Failure { line: format!("{address}: {}", failure.line), ..failure });
            }
        }
    }
    if invocation.is_json() {
        object(&json!({ "results": results }));
    }
    let Some(last) = failed.pop() else { return Ok(()) };
    for failure in &failed {
        eprintln!("bangui: {failure}");
    }
    Err(last)
}

/// The addresses of the command line; `-` stands for those of standard input, one a line, or several with blanks or commas between them.
fn addresses(invocation: &Invocation) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for argument in &invocation.arguments {
        if argument != "-" {
            all.push(argument.clone());
            continue;
        }
        let mut text = String::new();
        let read = std::io::stdin().lock().take(LONGEST_LIST).read_to_string(&mut text);
        read.map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))?;
        let entries = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        all.extend(
            entries.flat_map(|line| line.split([',', ' ', '\t'])).filter(|word| !word.is_empty()).map(str::to_owned),
        );
    }
    match all.is_empty() {
        true => Err(Failure::usage("which address? Name one or more, or - for a list on standard input")),
        false => Ok(all),
    }
}

/// The jail, where there is only one to choose from.
fn only_jail(asked: &Asked) -> Result<String, Failure> {
    let jails = asked.get("/jails")?;
    let names: Vec<String> = jails["items"].as_array().into_iter().flatten().map(|jail| text(jail, "name")).collect();
    match names.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::failed("fail2ban runs no jail that could ban anybody")),
        several => Err(Failure::usage(format!("in which jail? --jail is one of {}", several.join(", ")))),
    }
}
