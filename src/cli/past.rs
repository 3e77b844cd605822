//! `bangui find`, `history` and `log`: what is known of an address, what happened, and what fail2ban wrote.

use serde_json::{Value, json};

use super::ask::{Asked, encoded};
use super::invocation::{Failure, Invocation};
use super::show::{number, object, seconds, text, time, word};
use super::table::{Table, plain, print};

/// `bangui find ADDRESS`: whether it is banned, and what it did before.
pub fn find(invocation: &Invocation) -> Result<(), Failure> {
    let [address] = invocation.arguments.as_slice() else {
        return Err(Failure::usage("find: which address? Name one"));
    };
    let asked = Asked::open(invocation)?;
    let place = asked.get(&format!("/geo/lookup/{}", encoded(address)))?;
    // 404: it was never banned, which is an answer.
    let past = match asked.status_and(&format!("/history/{}", encoded(address)))? {
        (404, _) => Value::Null,
        (_, past) => past?,
    };
    if invocation.is_json() {
        object(&json!({ "lookup": place, "history": past }));
        return Ok(());
    }
    let jails: Vec<String> = place["currently_banned_in"].as_array().into_iter().flatten().map(word).collect();
    let now = match jails.as_slice() {
        [] => "is not banned".to_owned(),
        jails => format!("is banned in {}", jails.join(", ")),
    };
    let ip = text(&place, "ip");
    print(&match past["total_bans"].as_u64() {
        None | Some(0) => format!("{ip} {now}, and was never before.\n"),
        Some(1) => format!("{ip} {now}. It was banned once, on {}.\n", time(&past["last_ban_at"])),
        Some(bans) => format!("{ip} {now}. It was banned {bans} times, last on {}.\n", time(&past["last_ban_at"])),
    });
    let geo = &place["geo"];
    let known: Vec<String> =
        ["country_name", "org", "asn"].iter().filter_map(|name| geo[*name].as_str().map(plain)).collect();
    if !known.is_empty() {
        print(&format!("{}\n", known.join(", ")));
    }
    let mut table = Table::new(&["BANNED", "JAIL", "FOR", "FAILURES", "LINE"]);
    for event in past["timeline"].as_array().into_iter().flatten() {
        let line = event["matches"].as_array().and_then(|lines| lines.last()).map(word).unwrap_or_default();
        table.row(vec![
            time(&event["banned_at"]),
            text(event, "jail"),
            seconds(&event["ban_time"]),
            number(&event["failures"]),
            line,
        ]);
    }
    table.print();
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
