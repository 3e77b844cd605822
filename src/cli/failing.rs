//! `bangui failing`: who is failing now, and how many more times until a ban.

use serde_json::Value;

use super::ask::{Asked, encoded};
use super::invocation::{Failure, Invocation};
use super::show::{number, object, text, time, word};
use super::table::{Table, plain, print};

/// The longest page of the list.
const PAGE: u32 = 500;

/// `bangui failing [JAIL]`: whoever is nearest to a ban first.
pub fn list(invocation: &Invocation) -> Result<(), Failure> {
    let asked = Asked::open(invocation)?;
    let jail = invocation.arguments.first().map(|jail| format!("&jail={}", encoded(jail))).unwrap_or_default();
    let found = asked.get(&format!("/bans/failing?page_size={PAGE}{jail}"))?;
    if invocation.is_json() {
        object(&found);
        return Ok(());
    }
    let items = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let table = rows(items, true);
    table.print();
    match found["source"]["reason"].as_str() {
        Some(reason) => print(&format!("Who is failing is not known. {}\n", plain(reason))),
        None if table.rows() == 0 => print("Nobody is failing.\n"),
        None => {
            let total = found["total"].as_u64().unwrap_or_default();
            if total > table.rows() as u64 {
                print(&format!("And {} more.\n", total - table.rows() as u64));
            }
        }
    }
    Ok(())
}

/// A table of those who fail; the address need not be told where all are of one.
pub fn rows(items: &[Value], with_address: bool) -> Table {
    let heading = ["ADDRESS", "JAIL", "FAILURES", "LAST", "COUNTRY", "USERS"];
    let mut table = Table::new(if with_address { &heading } else { &heading[1..] });
    for item in items {
        let users: Vec<String> = item["users"].as_array().into_iter().flatten().map(word).collect();
        let mut cells = vec![
            text(item, "ip"),
            text(item, "jail"),
            format!("{} of {}", number(&item["failures"]), number(&item["of"])),
            time(&item["last_at"]),
            word(&item["country"]),
            users.join(", "),
        ];
        if !with_address {
            cells.remove(0);
        }
        table.row(cells);
    }
    table
}
