//! `bangui bans`, `ban` and `unban`: who is out, and who is to be.

use std::io::Read;

use serde_json::{Value, json};

use super::ask::{Asked, encoded};
use super::invocation::{Failure, Invocation};
use super::show::{number, object, text, time, word};
use super::table::{Table, print};
use crate::domain::address::IpOrNet;
use crate::machine;

/// The longest list that is read from standard input, in bytes.
const LONGEST_LIST: u64 = 4 * 1024 * 1024;

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
    each(invocation, &addresses, |address| {
        let mut body = json!({ "ip": address, "jail": jail });
        if force {
            body["force"] = json!(true);
        }
        for (option, field) in [("for", "duration"), ("note", "note")] {
            if let Some(text) = invocation.option(option) {
                body[field] = json!(text);
            }
        }
        asked.send("POST", "/bans", Some(&body))
    })
}

/// `bangui unban ADDRESS...`, or `--me`, or `--all`.
pub fn unban(invocation: &Invocation) -> Result<(), Failure> {
    if invocation.option("all").is_some() {
        let asked = Asked::open(invocation)?;
        let answer = asked.send("DELETE", "/bans/all", None)?;
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
    each(invocation, &addresses, |address| {
        let mut body = json!({ "ip": address });
        if let Some(jail) = invocation.option("jail") {
            body["jail"] = json!(jail);
        }
        asked.send("DELETE", "/bans", Some(&body))
    })
}

/// Does something with each address, tells what became of it, and fails where one of them failed.
fn each(
    invocation: &Invocation,
    addresses: &[String],
    work: impl Fn(&str) -> Result<Value, Failure>,
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
