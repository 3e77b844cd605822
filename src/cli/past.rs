//! `bangui find`, `history` and `log`: what is known of an address, what happened, and what fail2ban wrote.

use super::ask::{Asked, encoded};
use super::failing;
use super::invocation::{Failure, Invocation};
use super::show::{number, object, seconds, text, time, word};
use super::table::{Table, plain, print};

/// `bangui find ADDRESS`: whether it is banned, where and why, and what it did before.
pub fn find(invocation: &Invocation) -> Result<(), Failure> {
    let [address] = invocation.arguments.as_slice() else {
        return Err(Failure::usage("find: which address? Name one"));
    };
    let asked = Asked::open(invocation)?;
    let found = asked.get(&format!("/addresses/{}", encoded(address)))?;
    if invocation.is_json() {
        object(&found);
        return Ok(());
    }
    print(&format!("{}\n", plain(&text(&found, "sentence"))));
    let operator = &found["operator"];
    let known = [&found["country"], &operator["org"], &operator["asn"]];
    let known: Vec<String> = known.iter().filter_map(|value| value.as_str().map(plain)).collect();
    if !known.is_empty() {
        print(&format!("{}\n", known.join(", ")));
    }
    let lines = |list: &str| found[list].as_array().into_iter().flatten();
    for cover in lines("covered_by") {
        let (network, jail) = (text(cover, "network"), text(cover, "jail"));
        print(&format!("It lies in {}, which is banned in {}.\n", plain(&network), plain(&jail)));
    }
    for entry in lines("ignored_by") {
        let (what, jail) = (plain(&text(entry, "entry")), plain(&text(entry, "jail")));
        let note = entry["note"].as_str().map(|note| format!(": {}", plain(note))).unwrap_or_default();
        print(&match jail.as_str() {
            "never-ban" => format!("{what} is on the never-ban list{note}.\n"),
            jail => format!("{jail} ignores {what}.\n"),
        });
    }
    let mut now = Table::new(&["JAIL", "SINCE", "UNTIL", "TIMES", "WHO", "NOTE"]);
    for ban in lines("banned") {
        let actor = &ban["actor"];
        let who = if text(actor, "name").is_empty() { word(&actor["kind"]) } else { text(actor, "name") };
        now.row(vec![
            text(ban, "jail"),
            time(&ban["since"]),
            if ban["until"].is_null() { "for ever".to_owned() } else { time(&ban["until"]) },
            number(&ban["times"]),
            who,
            text(ban, "note"),
        ]);
    }
    now.print();
    let fails = failing::rows(found["failing"].as_array().map(Vec::as_slice).unwrap_or_default(), false);
    fails.print();
    let mut past = Table::new(&["BANNED", "JAIL", "UNTIL", "FAILURES", "LINE"]);
    for event in found["history"]["recent"].as_array().into_iter().flatten() {
        let line = event["lines"].as_array().and_then(|lines| lines.last()).map(word).unwrap_or_default();
        let until = if event["until"].is_null() { "-".to_owned() } else { time(&event["until"]) };
        past.row(vec![time(&event["at"]), text(event, "jail"), until, number(&event["failures"]), line]);
    }
    if now.rows() + fails.rows() > 0 && past.rows() > 0 {
        print("\n");
    }
    past.print();
    Ok(())
}

/// `bangui history`: the bans of a range of time, the latest first.
pub fn history(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    let mut query = vec![format!("page_size={}", invocation.option("number").unwrap_or("50"))];
    for name in ["range", "jail", "ip", "origin", "source"] {
        query.extend(invocation.option(name).map(|value| format!("{name}={}", encoded(value))));
    }
    let bans = asked.get(&format!("/history?{}", query.join("&")))?;
    if invocation.is_json() {
        object(&bans);
        return Ok(());
    }
    let mut table = Table::new(&["BANNED", "ADDRESS", "JAIL", "FOR", "TIMES", "LINE"]);
    for ban in bans["items"].as_array().into_iter().flatten() {
        let line = ban["matches"].as_array().and_then(|lines| lines.last()).map(word).unwrap_or_default();
        table.row(vec![
            time(&ban["banned_at"]),
            text(ban, "ip"),
            text(ban, "jail"),
            seconds(&ban["ban_time"]),
            number(&ban["ban_count"]),
            line,
        ]);
    }
    table.print();
    let (shown, total) = (table.rows(), bans["pagination"]["total"].as_u64().unwrap_or(0));
    if total > shown as u64 {
        print(&format!("{shown} of {total}; --number shows more, up to 500.\n"));
    } else if total == 0 {
        print("Nobody was banned.\n");
    }
    Ok(())
}

/// `bangui log`: the last lines of fail2ban's own log.
pub fn log(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    let mut query = vec![format!("lines={}", invocation.option("number").unwrap_or("50"))];
    query.extend(invocation.option("filter").map(|text| format!("filter={}", encoded(text))));
    let log = asked.get(&format!("/config/fail2ban-log?{}", query.join("&")))?;
    if invocation.is_json() {
        object(&log);
        return Ok(());
    }
    for line in log["lines"].as_array().into_iter().flatten() {
        print(&format!("{}\n", plain(&word(line))));
    }
    Ok(())
}

/// `bangui import`: the blocklists, now.
pub fn import(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    let result = asked.send("POST", "/blocklists/import", None)?;
    if invocation.is_json() {
        object(&result);
    } else {
        let mut table = Table::new(&["IMPORTED", "SKIPPED", "LIFTED", "LIST"]);
        for source in result["results"].as_array().into_iter().flatten() {
            let error = source["error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
            table.row(vec![
                number(&source["ips_imported"]),
                number(&source["ips_skipped"]),
                number(&source["ips_unbanned"]),
                text(source, "source_url") + &error,
            ]);
        }
        table.print();
        if table.rows() == 0 {
            print("There is no list to import.\n");
        }
    }
    match result["errors_count"].as_u64() {
        Some(errors) if errors > 0 => Err(Failure::failed(format!("{errors} of the lists could not be imported"))),
        _ => Ok(()),
    }
}
