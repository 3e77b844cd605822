//! `bangui status` and `bangui jails`: how things are.

use serde_json::{Value, json};

use super::ask::{Asked, UNREACHABLE, encoded};
use super::invocation::{Failure, Invocation};
use super::show::{count, number, object, seconds, text, word};
use super::table::{Table, print};

/// `bangui status`: whether fail2ban answers, and its jails.
pub fn status(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    let status = asked.get("/dashboard/status")?["status"].take();
    let jails = match status["online"] == true {
        true => asked.get("/jails")?,
        false => Value::Null,
    };
    if invocation.is_json() {
        object(&json!({ "status": status, "jails": jails }));
    }
    if jails.is_null() {
        let service = asked.get("/config/service-status")?;
        return Err(Failure { code: UNREACHABLE, line: why_not(&service) });
    }
    if invocation.is_json() {
        return Ok(());
    }
    print(&format!(
        "fail2ban {} is running: {}, {} banned, {} failing.\n",
        text(&status, "version"),
        count(&status, "active_jails", "jail", "jails"),
        count(&status, "total_bans", "address", "addresses"),
        number(&status["total_failures"]),
    ));
    listed(&jails).print();
    Ok(())
}

/// Why there is no fail2ban to be asked.
fn why_not(service: &Value) -> String {
    match service["problem"].as_str().or(service["reason"].as_str()) {
        Some(problem) => format!("fail2ban does not answer: {problem}"),
        None => "fail2ban does not answer".to_owned(),
    }
}

/// `bangui jails [NAME]`: the jails that run, or one of them with all its values.
pub fn jails(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    if let Some(name) = invocation.arguments.first() {
        let jail = asked.get(&format!("/jails/{}", encoded(name)))?;
        if invocation.is_json() {
            object(&jail);
        } else {
            values(&jail);
        }
        return Ok(());
    }
    let jails = asked.get("/jails")?;
    if invocation.is_json() {
        object(&jails);
    } else {
        listed(&jails).print();
    }
    Ok(())
}

fn listed(jails: &Value) -> Table {
    let mut table = Table::new(&["JAIL", "BANNED", "FAILING", "BANNED EVER", "BAN TIME", "FIND TIME", "RETRIES"]);
    for jail in jails["items"].as_array().into_iter().flatten() {
        let status = &jail["status"];
        let idle = if jail["idle"] == true { " (paused)" } else { "" };
        table.row(vec![
            text(jail, "name") + idle,
            number(&status["currently_banned"]),
            number(&status["currently_failed"]),
            number(&status["total_banned"]),
            seconds(&jail["ban_time"]),
            seconds(&jail["find_time"]),
            number(&jail["max_retry"]),
        ]);
    }
    table
}

/// Every value of a jail that is set, a line each.
fn values(detail: &Value) {
    let mut table = Table::new(&["VALUE", "IS"]);
    let jail = detail["jail"].as_object().into_iter().flatten();
    for (name, value) in jail.map(|(name, value)| (name.as_str(), value)).chain([("ignored", &detail["ignore_list"])]) {
        let shown = match (name, value) {
            ("ban_time" | "find_time", value) => vec![seconds(value)],
            (_, Value::Array(items)) => items.iter().map(word).collect(),
            (_, Value::Object(fields)) => {
                let set = fields.iter().filter(|(_, value)| !value.is_null());
                set.map(|(name, value)| format!("{} {}", name.replace('_', " "), word(value))).collect()
            }
            (_, value) => vec![word(value)],
        };
        // Of a list, a line each.
        for (at, one) in shown.into_iter().enumerate() {
            let name = if at == 0 { name.replace('_', " ") } else { String::new() };
            table.row(vec![name, one]);
        }
    }
    table.print();
}
