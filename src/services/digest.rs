//! What the day was like, told once a day: bans of this machine's own by jail and country, and whether it is protected. Counted a step at a
//! time, however many there are.

use crate::app::{ApiError, Ctx};
use crate::blocklist::schedule::{Frequency, Schedule};
use crate::domain::history::{Country, Origin, Window};
use crate::domain::notification::{Event, Message};
use crate::domain::time;
use crate::store::archive::{Counting, Of};
use crate::zones;

/// The setting that says when the last one was told, in Unix seconds.
const SETTING: &str = "digest_at";
/// The longest day that is told of, in seconds: one that was missed is no excuse for a long one.
const LONGEST: i64 = 2 * 86_400;
/// Jails and countries that are named; the rest is a sum.
const MOST_NAMED: usize = 8;

/// One that is being made.
#[derive(Debug, Default)]
pub struct Digest {
    counting: Option<(i64, [Counting; 2])>,
}

impl Digest {
    /// Whether one is being made.
    pub fn is_under_way(&self) -> bool {
        self.counting.is_some()
    }

    /// Begins one where it is due, and takes the one that is being made a step further.
    pub fn step(&mut self, ctx: &mut Ctx) -> Result<(), ApiError> {
        let now = time::now();
        let Some((end, counting)) = &mut self.counting else {
            self.counting = begin(ctx, now)?;
            return Ok(());
        };
        for part in counting.iter_mut() {
            if !ctx.store.count_some(part, now)? {
                return Ok(());
            }
        }
        let (end, [jails, countries]) = (*end, counting);
        let mut jails = ctx.store.counted_jails(jails)?;
        let (mut countries, total) = countries.countries();
        jails.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        countries.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.counting = None;
        let mut message = Message::new(Event::Digest, &bans(total), end);
        if total > 0 {
            message.add(&format!("By jail: {}.", named(&jails)));
        }
        if !countries.is_empty() {
            let countries: Vec<(String, u64)> =
                countries.iter().map(|(country, count)| (Country::as_str(country).to_owned(), *count)).collect();
            message.add(&format!("By country: {}.", named(&countries)));
        }
        message.add(&ctx.protection.verdict().sentence);
        // First that it was made: one too few is better than the same one for ever.
        ctx.store.set_settings(&[(SETTING, &end.to_string())])?;
        ctx.tell_all(&message);
        Ok(())
    }
}

fn begin(ctx: &mut Ctx, now: i64) -> Result<Option<(i64, [Counting; 2])>, ApiError> {
    // Right after a start nobody has looked yet, and the archive may not have the last bans.
    let has_looked = ctx.protection.report.is_some();
    if !has_looked || !ctx.store.channels().iter().any(|channel| channel.wants(Event::Digest)) {
        return Ok(None);
    }
    let stored = ctx.store.setting(SETTING)?.and_then(|text| text.parse::<i64>().ok());
    // A time in the future was written before the clock was set back.
    let Some(last) = stored.filter(|last| *last <= now) else {
        ctx.store.set_settings(&[(SETTING, &now.to_string())])?;
        return Ok(None);
    };
    let zone = zones::named(ctx.timezone()).unwrap_or(jiff::tz::TimeZone::UTC);
    let hour = ctx.config.digest_hour;
    let schedule = Schedule { frequency: Frequency::Daily, hour, minute: 0, ..Schedule::default() };
    if schedule.next_after(last, &zone).is_none_or(|next| next > now) {
        return Ok(None);
    }
    let window = Window::between(last.max(now - LONGEST), now);
    let count = |of| Counting::new(of, window, Some(Origin::Selfblock));
    Ok(Some((now, [count(Of::Jails), count(Of::Countries)])))
}

fn bans(total: u64) -> String {
    match total {
        0 => "No address was banned since the last one.".to_owned(),
        1 => "1 address was banned since the last one.".to_owned(),
        _ => format!("{total} addresses were banned since the last one."),
    }
}

/// `sshd 10, lab 2 and 3 more`.
fn named(counts: &[(String, u64)]) -> String {
    let first: Vec<String> = counts.iter().take(MOST_NAMED).map(|(name, count)| format!("{name} {count}")).collect();
    let rest: u64 = counts.iter().skip(MOST_NAMED).map(|(_, count)| count).sum();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_jails_are_a_few_and_a_sum() {
        let counts: Vec<(String, u64)> = (0..10).map(|number| (format!("j{number}"), 10 - number)).collect();
        assert_eq!(named(&counts[..2]), "j0 10, j1 9");
        assert!(named(&counts).ends_with("j7 3 and 3 more"), "{}", named(&counts));
        assert_eq!(bans(1), "1 address was banned since the last one.");
    }
}
