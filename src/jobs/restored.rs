//! Counts in a child how many bans fail2ban restores by itself after its start, so that it can be told how far that has come. It waits for
//! nothing, and restores nothing.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::{LISTS, answering, open_database};
use super::failure::Failure;
use crate::domain::address::IpOrNet;
use crate::domain::time;
use crate::fail2ban::Error;

/// How long after its start it may still be restoring, in seconds: where an action takes a second, these are 600 bans.
const LONGEST: i64 = 600;

/// Count what is restored.
#[derive(Debug, Serialize, Deserialize)]
pub struct CountRestored {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// fail2ban's database, where it was given; else the daemon is asked.
    pub database: Option<PathBuf>,
}

impl CountRestored {
    /// How many bans each running jail will have restored. Nothing where the daemon was not started a moment ago, or keeps no database.
    pub fn run(self) -> Result<Value, Failure> {
        let (mut all, now) = (Vec::<(String, u64)>::new(), time::now());
        let is_new = self.socket.metadata().is_ok_and(|socket| (now - socket.mtime()).abs() < LONGEST);
        if !is_new {
            return Ok(json!(all));
        }
        let mut daemon = answering(&self.socket, LISTS)?;
        let Some(database) = open_database(self.database, &mut daemon) else { return Ok(json!(all)) };
        for jail in daemon.jail_names()? {
            let told = daemon.restore_age(&jail).and_then(|age| Ok((age, daemon.ignore_list(&jail)?)));
            let (age, ignored) = match told {
                Err(Error::UnknownJail(_) | Error::NameTaken(_)) => continue,
                other => other?,
            };
            let ignored: Vec<IpOrNet> = ignored.iter().filter_map(|entry| entry.parse().ok()).collect();
            let mut count = 0;
            let read = database.each_current(Some(jail.as_str()), &mut |ban| {
                let is_over = ban.times.ends_at().is_some_and(|end| end <= now);
                let is_for_ever = ban.times.ban_time.is_some_and(|seconds| seconds < 0.0);
                let is_old = !is_for_ever && age.is_some_and(|age| ban.times.banned_at <= now - age);
                let is_ignored = ban.ip.parse::<IpOrNet>().is_ok_and(|ip| ignored.iter().any(|net| net.contains(&ip)));
                count += u64::from(!is_over && !is_old && !is_ignored);
            });
            if read.is_ok() && count > 0 {
                all.push((jail.to_string(), count));
            }
        }
        Ok(json!(all))
    }
}
