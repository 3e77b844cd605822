//! What Prometheus scrapes: fail2ban under the names of the exporter that boards and alerts know, this program and its machine under
//! names of its own. Nothing here waits for the daemon: a scrape shows the last look at it, and has it looked at again.

use std::fmt::Write;
use std::time::Duration;

use crate::app::metrics::Metrics;
use crate::app::{ApiError, Ctx, Outcome, Request, Step};
use crate::domain::time;
use crate::fail2ban::commands::JailCounters;
use crate::server::response::Response;

/// How old the last look at the daemon may be that a scrape leaves without another.
const FRESH: Duration = Duration::from_secs(5);
/// A daemon of so many jails is looked at before a scrape is answered; one of more behind it, for the next: each jail is a command.
const FEW: usize = 8;

/// `GET /api/v1/metrics`
pub fn scrape(ctx: &mut Ctx, _request: &Request) -> Result<Outcome, ApiError> {
    let is_old = ctx.snapshot.is_older(FRESH);
    if is_old && !ctx.daemon_is_taken && ctx.snapshot.online && ctx.snapshot.counters.len() <= FEW {
        ctx.look_again();
    } else if is_old {
        ctx.snapshot.stale = true;
    }
    if ctx.snapshot.online && !ctx.daemon_is_taken && !learned(ctx) {
        let learn = |ctx: &mut Ctx| Ok(if learned(ctx) { Step::Done(answer(ctx)?) } else { Step::More });
        return Ok(Outcome::Steps(Box::new(learn)));
    }
    Ok(Outcome::Answer(answer(ctx)?))
}

/// Whether the limits of jails are known as far as they can be: what a daemon does not tell is not in the answer.
fn learned(ctx: &mut Ctx) -> bool {
    ctx.learn_limits().unwrap_or(true)
}

fn answer(ctx: &Ctx) -> Result<Response, ApiError> {
    let mut text = Text(String::with_capacity(4096));
    of_fail2ban(ctx, &mut text);
    of_jails(ctx, &mut text);
    of_this_program(ctx, &mut text)?;
    Ok(Response::json_bytes(200, text.0.into_bytes()))
}

fn of_fail2ban(ctx: &Ctx, text: &mut Text) {
    let seen = &ctx.snapshot;
    text.family("f2b_up", "gauge", "Whether the fail2ban server answers");
    text.sample("f2b_up", &[], u64::from(seen.online));
    text.family("f2b_version", "gauge", "Versions of bangui and of fail2ban, as labels");
    let fail2ban = seen.version.as_deref().unwrap_or_default();
    text.sample("f2b_version", &[("exporter", env!("CARGO_PKG_VERSION")), ("fail2ban", fail2ban)], 1);
    text.family("f2b_errors", "counter", "Looks at fail2ban that failed since bangui was started");
    text.sample("f2b_errors", &[("type", "socket conn")], ctx.metrics.unreachable);
    text.sample("f2b_errors", &[("type", "socket req")], ctx.metrics.refused);
    if seen.online {
        text.family("f2b_jail_count", "gauge", "Jails that fail2ban runs");
        text.sample("f2b_jail_count", &[], seen.jails);
    }
}

/// A number that each jail has: its name, its type, its meaning, and where it comes from.
type OfJail = (&'static str, &'static str, &'static str, fn(&Ctx, &JailCounters) -> Option<f64>);

const OF_JAIL: [OfJail; 7] = [
    ("f2b_jail_banned_current", "gauge", "Addresses banned now", |_, seen| Some(seen.counters.currently_banned as f64)),
    ("f2b_jail_banned_total", "gauge", "Bans since the jail was started", |_, seen| {
        Some(seen.counters.total_banned as f64)
    }),
    ("f2b_jail_failed_current", "gauge", "Addresses with failures within the find time", |_, seen| {
        Some(seen.counters.currently_failed as f64)
    }),
    ("f2b_jail_failed_total", "gauge", "Failures since the jail was started", |_, seen| {
        Some(seen.counters.total_failed as f64)
    }),
    ("f2b_config_jail_ban_time", "gauge", "How long a ban lasts, in seconds; -1 is for ever", |ctx, seen| {
        Some(ctx.metrics.limits(seen.jail.as_str())?.ban_time)
    }),
    ("f2b_config_jail_find_time", "gauge", "How far back failures count, in seconds", |ctx, seen| {
        Some(ctx.metrics.limits(seen.jail.as_str())?.find_time)
    }),
    ("f2b_config_jail_max_retries", "gauge", "Failures that make a ban", |ctx, seen| {
        Some(ctx.metrics.limits(seen.jail.as_str())?.max_retry as f64)
    }),
];

fn of_jails(ctx: &Ctx, text: &mut Text) {
    if ctx.snapshot.counters.is_empty() {
        return;
    }
    for (name, kind, help, of) in OF_JAIL {
        text.family(name, kind, help);
        for seen in &ctx.snapshot.counters {
            if let Some(value) = of(ctx, seen) {
                text.sample(name, &[("jail", seen.jail.as_str())], value);
            }
        }
    }
}

fn of_this_program(ctx: &Ctx, text: &mut Text) -> Result<(), ApiError> {
    if let Some(taken) = ctx.snapshot.taken {
        text.family("bangui_seen_timestamp_seconds", "gauge", "When fail2ban was last looked at");
        text.sample("bangui_seen_timestamp_seconds", &[], time::now() - taken.elapsed().as_secs() as i64);
    }
    if let Some(held) = ctx.held() {
        text.family("bangui_imported_entries", "gauge", "Entries of blocklists that the set of bangui's own drops now");
        text.sample("bangui_imported_entries", &[], held.count_at(time::now()).unwrap_or(0));
    }
    let runs = ctx.store.blocklist_runs()?;
    if let Some(last) = runs.last {
        text.family("bangui_import_timestamp_seconds", "gauge", "When the last import of blocklists began");
        text.sample("bangui_import_timestamp_seconds", &[], last);
    }
    if let Some(has_errors) = runs.last_errors {
        text.family("bangui_import_errors", "gauge", "Whether the last import of blocklists had errors");
        text.sample("bangui_import_errors", &[], u64::from(has_errors));
    }
    text.family("bangui_database_bytes", "gauge", "Size of bangui's database");
    text.sample("bangui_database_bytes", &[], ctx.store.database_bytes()?);
    text.family("bangui_database_healthy", "gauge", "Whether bangui's database can be read and written");
    text.sample("bangui_database_healthy", &[], u64::from(ctx.store.is_healthy() && !ctx.storage_fails));
    if let Some((resident, seconds)) = Metrics::spent() {
        text.family("process_resident_memory_bytes", "gauge", "Memory that bangui takes");
        text.sample("process_resident_memory_bytes", &[], resident);
        text.family("process_cpu_seconds_total", "counter", "Processor time that bangui has taken");
        text.sample("process_cpu_seconds_total", &[], seconds);
    }
    Ok(())
}

/// The text format of Prometheus, growing.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.0.push_str(if at == 0 { "{" } else { "," });
            let _ = write!(self.0, "{label}=\"");
            for letter in text.chars() {
                match letter {
                    '\\' | '"' => self.0.extend(['\\', letter]),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_label() {
        let mut text = Text(String::new());
        text.family("x", "gauge", "Help");
        text.sample("x", &[("jail", "a\"} 1\n\\b"), ("b", "c")], 2.5);
        text.sample("x", &[], 3);
        assert_eq!(text.0, "# HELP x Help\n# TYPE x gauge\nx{jail=\"a\\\"} 1\\n\\\\b\",b=\"c\"} 2.5\nx 3\n");
    }
}
