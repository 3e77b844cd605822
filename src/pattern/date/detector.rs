//! A list of date templates, and fail2ban's way to choose among them: what fitted the last line is tried first, where it
//! stood; what fits often moves to the front; a date further right than usual counts less.
//!
//! The order is part of the result, so it is kept as fail2ban keeps it. The local time that breaks ties is monotonic.

mod build;

use std::time::Instant;

use super::super::compile::Match;
use super::super::error::PatternError;
use super::super::release::Release;
use super::clock::Clock;
use super::template::Template;
use super::zone::offset_minutes;

/// A template unused for so many seconds gives way.
const UNUSED_SECONDS: f64 = 300.0;
/// Further right than any line is long.
const FAR: usize = 0x7fff_ffff;

struct Entry {
    template: Template,
    /// Times it was chosen.
    hits: u64,
    /// Times it matched, chosen or not.
    matches: u64,
    /// Seconds on the detector's own clock; 0 for never.
    last_used: f64,
    /// Where it matched last, in characters.
    distance: usize,
}

impl Entry {
    fn weight(&self) -> f64 {
        self.hits as f64 * self.template.weight / self.distance.max(1) as f64
    }
}

/// The edge of the last match: its position in characters, and the characters on both sides.
#[derive(Clone, Copy)]
struct Edge {
    at: usize,
    before: Option<char>,
    after: Option<char>,
}

/// A date found in a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamp {
    /// Seconds since the epoch; `None` when the text matched but is no possible date.
    pub seconds: Option<f64>,
    /// Where the date starts in the line, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// The name of the template that fitted.
    pub template: String,
}

/// Date templates with the memory of what fitted before.
pub struct DateDetector {
    entries: Vec<Entry>,
    last_begin: Edge,
    last_end: Edge,
    last_index: usize,
    first_unused: usize,
    default_zone: Option<i32>,
    clock: Clock,
    year: i16,
    release: Release,
    started: Instant,
}

impl DateDetector {
    /// A detector for `pattern`, one date pattern per line, or for the default formats. `zone` is `logtimezone`: an offset
    /// such as `UTC+0200` for dates that name none.
    pub fn new(pattern: Option<&str>, zone: Option<&str>, clock: Clock) -> Result<DateDetector, PatternError> {
        DateDetector::new_as(pattern, zone, clock, Release::default())
    }

    /// Like [`DateDetector::new`], as this release of fail2ban makes it.
    pub fn new_as(
        pattern: Option<&str>,
        zone: Option<&str>,
        clock: Clock,
        release: Release,
    ) -> Result<DateDetector, PatternError> {
        let default_zone = match zone {
            None => None,
            Some(zone) => Some(
                offset_minutes(zone)
                    .ok_or_else(|| PatternError::Rule(format!("Unknown or unsupported time zone: '{zone}'")))?,
            ),
        };
        // The year of the real clock, as the daemon takes it when it starts.
        let year = jiff::Zoned::now().year();
        let edge = Edge { at: 1, before: None, after: None };
        let mut detector = DateDetector {
            entries: Vec::new(),
            last_begin: edge,
            last_end: Edge { at: FAR, ..edge },
            last_index: FAR,
            first_unused: 0,
            default_zone,
            clock,
            year,
            release,
            started: Instant::now(),
        };
        for pattern in pattern.unwrap_or_default().split('\n').map(str::trim).filter(|pattern| !pattern.is_empty()) {
            detector.add(pattern)?;
        }
        if detector.entries.is_empty() {
            detector.add_defaults(|_| true)?;
        }
        Ok(detector)
    }

    /// The expressions that a date pattern of one line comes to, their directives replaced: several where it names the default ones,
    /// none where fail2ban would refuse it.
    pub fn expressions(pattern: &str, release: Release) -> Vec<String> {
        let detector = DateDetector::new_as(Some(pattern), None, Clock::utc(), release);
        let entries = detector.map(|detector| detector.entries).unwrap_or_default();
        entries.iter().map(|entry| entry.template.expression().to_owned()).collect()
    }

    /// Finds the date in a line and reads it.
    pub fn find(&mut self, line: &str) -> Result<Option<Stamp>, PatternError> {
        let Some((found, index)) = self.choose(line)? else {
            return Ok(None);
        };
        let template = &self.entries[index].template;
        let (start, end) = template.date_span(&found);
        let seconds = if start == end { None } else { template.moment(line, &found, self.default_zone, &self.clock) };
        let template = template.name.clone();
        let index = self.settle(line, &found, index);
        self.last_index = index;
        Ok(Some(Stamp { seconds, start, end, template }))
    }

    fn search(&mut self, index: usize, line: &str, from: usize) -> Result<Option<Match>, PatternError> {
        let entry = &mut self.entries[index];
        let found = entry.template.search(line, from)?;
        entry.matches += u64::from(found.is_some());
        Ok(found)
    }

    /// The match and the index of the template that wins for this line.
    fn choose(&mut self, line: &str) -> Result<Option<(Match, usize)>, PatternError> {
        let mut best: Option<(Match, usize, usize)> = None;
        let mut tried = FAR;
        if self.last_index < self.entries.len() {
            let index = self.last_index;
            let (found, whole) = self.search_last(index, line)?;
            if whole {
                tried = index;
            }
            if let Some(found) = found {
                let (begin, end) = (characters(line, found.start()), characters(line, found.end()));
                let same_place = begin == self.last_begin.at && end == self.last_end.at;
                if self.entries.len() == 1 || self.entries[index].template.anchored || same_place {
                    return Ok(Some((found, index)));
                }
                best = Some((found, begin, index));
            }
        }
        for index in 0..self.entries.len() {
            if index == tried {
                continue;
            }
            let Some(found) = self.search(index, line, 0)? else {
                continue;
            };
            let distance = characters(line, found.start());
            let entry = &self.entries[index];
            let last = index + 1 == self.entries.len();
            if last
                || entry.template.anchored
                || (distance == 0 && entry.hits > 0 && self.entries[index + 1].matches == 0)
            {
                return Ok(Some((found, index)));
            }
            if distance <= entry.distance && distance <= self.last_begin.at {
                return Ok(Some((found, index)));
            }
            // It stands further right than usual, so it may be part of the message.
            if best.as_ref().is_none_or(|(_, other, _)| distance < *other) {
                best = Some((found, distance, index));
            }
        }
        Ok(best.map(|(found, _, index)| (found, index)))
    }

    /// Tries the last template: at its last place if the characters around it are the same. True when the whole line was searched.
    fn search_last(&mut self, index: usize, line: &str) -> Result<(Option<Match>, bool), PatternError> {
        if self.entries[index].template.anchored {
            return Ok((self.search(index, line, 0)?, true));
        }
        let (begin, end) = (self.last_begin, self.last_end);
        let (begin_here, end_here) = (edge_at(line, begin.at), edge_at(line, end.at));
        // Outside they must be equal; inside only a letter or digit may differ.
        let inside_same = |here: Option<char>, known: Option<char>| {
            here == known && known.is_some_and(|letter| !letter.is_alphanumeric())
        };
        let begin_same = begin_here.before == begin.before || inside_same(begin_here.after, begin.after);
        let end_same = end_here.after == end.after || inside_same(end_here.before, end.before);
        if !begin_same || !end_same {
            return Ok((self.search(index, line, 0)?, true));
        }
        let (from, to) = (byte_of(line, begin.at), byte_of(line, end.at));
        if from > to {
            return Ok((None, false));
        }
        Ok((self.search(index, &line[..to], from)?, false))
    }

    /// Remembers the winner and perhaps moves it forward; its index afterwards.
    fn settle(&mut self, line: &str, found: &Match, index: usize) -> usize {
        (self.last_begin, self.last_end) =
            (edge_at(line, characters(line, found.start())), edge_at(line, characters(line, found.end())));
        let now = 1_000_000.0 + self.started.elapsed().as_secs_f64();
        let entry = &mut self.entries[index];
        entry.hits += 1;
        entry.last_used = now;
        entry.distance = self.last_begin.at;
        if self.first_unused == index {
            self.first_unused += 1;
        }
        if index > 0 && index != self.last_index { self.move_forward(index) } else { index }
    }

    fn move_forward(&mut self, index: usize) -> usize {
        let (weight, long_unused) = (self.entries[index].weight(), self.entries[index].last_used - UNUSED_SECONDS);
        let movable = |entry: &Entry| weight > entry.weight() || long_unused > entry.last_used;
        let mut target = if self.first_unused < index { self.first_unused } else { index / 2 };
        if !movable(&self.entries[target]) {
            if target + 1 == index {
                return index;
            }
            target = index - 1;
            if !movable(&self.entries[target]) {
                return index;
            }
        }
        let entry = self.entries.remove(index);
        self.entries.insert(target, entry);
        while self.first_unused < self.entries.len() && self.entries[self.first_unused].hits > 0 {
            self.first_unused += 1;
        }
        target
    }
}

/// The number of characters before a byte position.
fn characters(line: &str, byte: usize) -> usize {
    if line.is_ascii() { byte } else { line[..byte].chars().count() }
}

/// The byte position of a character position, at most the end.
fn byte_of(line: &str, character: usize) -> usize {
    if line.is_ascii() {
        return character.min(line.len());
    }
    line.char_indices().nth(character).map_or(line.len(), |(byte, _)| byte)
}

/// The characters around a character position, which may lie beyond the end.
fn edge_at(line: &str, at: usize) -> Edge {
    let character = |index: usize| line.chars().nth(index);
    Edge { at, before: at.checked_sub(1).and_then(character), after: character(at) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn find(pattern: Option<&str>, line: &str) -> Option<(Option<f64>, String)> {
        let clock = Clock { now: Some(1_124_013_600), zone: TimeZone::posix("CET-1CEST-2,M3.5.0,M10.5.0/3").unwrap() };
        let stamp = DateDetector::new(pattern, None, clock).unwrap().find(line).unwrap()?;
        Some((stamp.seconds, line[stamp.start..stamp.end].to_string()))
    }

    #[test]
    fn default_formats_are_found() {
        let noon = Some(1_124_013_600.0);
        for (line, text) in [
            ("2005-08-14T12:00:00.981746 x", "2005-08-14T12:00:00.981746"),
            ("Sun Aug 14 12:00:00.011 2005 x", "Sun Aug 14 12:00:00.011 2005"),
            ("2005-08-14 10:00:00Z x", "2005-08-14 10:00:00Z"),
            ("Aug 14 12:00:00 host x", "Aug 14 12:00:00"),
            ("1.2.3.4 - [14/Aug/2005:12:00:00 +0200] x", "14/Aug/2005:12:00:00 +0200"),
            ("1124013600 x", "1124013600"),
            ("[1124013600] x", "1124013600"),
            ("type=X msg=audit(1124013600.000:21): x", "1124013600.000"),
            ("050814 12:00:00 x", "050814 12:00:00"),
            ("@4000000042ff162000000000 x", "@4000000042ff162000000000"),
            ("<08/14/05@12:00:00> x", "<08/14/05@12:00:00>"),
        ] {
            assert_eq!(find(None, line), Some((noon, text.to_string())), "{line}");
        }
        assert_eq!(find(None, "no date here"), None);
    }

    #[test]
    fn what_a_release_changes() {
        let find = |release, pattern, line: &str| {
            let clock = Clock { now: Some(1_124_013_600), zone: TimeZone::UTC };
            let stamp = DateDetector::new_as(pattern, None, clock, release).unwrap().find(line).unwrap();
            stamp.map(|stamp| (line[stamp.start..stamp.end].to_string(), stamp.seconds))
        };
        let noon = Some(1_124_013_600.0);
        let (old, epoch, new) = (Release(1, 0, 2), Release(1, 1, 0), Release(1, 1, 1));
        for line in ["20050814-10:00:00 x", "20050814 10:00:00 x"] {
            assert_eq!(find(new, None, line), Some((line[..17].to_string(), noon)), "{line}");
            assert_ne!(find(epoch, None, line), Some((line[..17].to_string(), noon)), "{line}");
        }
        let (pattern, line) = (Some(r"^at=({EPOCH}) t"), "at=1124013600 t x");
        assert_eq!(find(old, pattern, line).unwrap().0, "at=1124013600 t");
        assert_eq!(find(epoch, pattern, line).unwrap(), ("1124013600".to_string(), noon));
    }

    #[test]
    fn own_patterns() {
        assert_eq!(find(Some("^{EPOCH} x"), "1124013600 x").unwrap().1, "1124013600 x");
        assert_eq!(find(Some("{LEPOCH}"), "1124013600123 x").unwrap().0, Some(1_124_013_600.123));
        assert_eq!(find(Some("{NONE}"), "x"), Some((None, String::new())));
        assert_eq!(find(Some(r"^<\d+>{DATE}"), "<3>Aug 14 12:00:00 x").unwrap().1, "<3>Aug 14 12:00:00");
        assert_eq!(find(Some("^%Y\n%m"), "2005").unwrap().1, "2005");
        assert_eq!(find(Some("%(ExY)s-%(m)s"), "2005-08").unwrap().1, "2005-08");
        assert_eq!(
            find(Some("%Y-%m-%d"), "２٠٠5-08-14 x").unwrap().0,
            find(Some("%Y-%m-%d"), "2005-08-14 x").unwrap().0
        );
        assert_eq!(find(Some("{EPOCH}"), "١١24013600 x").unwrap().0, Some(1_124_013_600.0));
        let clock = Clock { now: None, zone: TimeZone::UTC };
        assert!(DateDetector::new(Some("%q"), None, clock.clone()).is_err());
        assert!(DateDetector::new(Some("%Y("), None, clock).is_err());
    }
}
