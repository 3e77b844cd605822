//! Mutated and generated patterns and lines: nothing panics, and whatever Python and we both accept, agrees.
//!
//! Deterministic: the seed is printed and can be given as `BANGUI_FUZZ_SEED`, the time as `BANGUI_FUZZ_SECONDS` (default 3).

use std::time::{Duration, Instant};

use bangui::pattern::{Pattern, PatternError};

use super::oracle::{Oracle, Verdict, export};
use super::raw::spans_of;

/// A small generator of random numbers (xorshift64*), so that a run can be repeated.
pub struct Random(u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }

    pub fn pick<'t, T: ?Sized>(&mut self, from: &[&'t T]) -> &'t T {
        from[self.below(from.len())]
    }
}

/// The seed and the time a run may take.
pub fn budget() -> (Random, Duration) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("BANGUI_FUZZ_SEED").unwrap_or(20_261_122);
    println!("BANGUI_FUZZ_SEED={seed}");
    (
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        Duration::from_secs(number("BANGUI_FUZZ_SECONDS").unwrap_or(3)),
    )
}

/// Pieces that patterns are made and mutated of.
const PIECES: [&str; 69] = [
    "a",
    "b",
    "A",
    "1",
    " ",
    ":",
    "-",
    ".",
    "^",
    "$",
    "\\d",
    "\\w",
    "\\s",
    "\\S",
    "\\W",
    "\\D",
    "\\b",
    "\\B",
    "\\A",
    "\\Z",
    "[ab]",
    "[^a]",
    "[a-z]",
    "[\\w.-]",
    "[^[]",
    "[]a]",
    "[\\s\\S]",
    "[^\\W_]",
    "\\.",
    "\\[",
    "\\<",
    "\\x41",
    "\\u0130",
    "\\07",
    "\\n",
    "\\t",
    "(a)",
    "(a|b)",
    "(?:a|)",
    "(?P<x>a+)",
    "(?P<y>\\w*)",
    "(?P=x)",
    "\\1",
    "\\2",
    "(?(1)a|b)",
    "(?(x)b)",
    "(?=a)",
    "(?!b)",
    "(?<=a)",
    "(?<!b)",
    "(?>a|ab)",
    "(?i:ab)",
    "(?-i:a)",
    "(?s:.)",
    "(?m:^)",
    "(?#c)",
    "é",
    "ſ",
    "K",
    "(?:|a)",
    "(?:a?b?)",
    "(?:a?|b)",
    "{",
    "}",
    "a{2}",
    "|",
    "ı",
    "\\-",
    "(?a:\\w)",
];
const QUANTIFIERS: [&str; 16] =
    ["*", "+", "?", "*?", "+?", "??", "*+", "++", "?+", "{2}", "{1,2}", "{,2}", "{1,}", "{0,3}?", "{2,3}+", "{1}"];
const TEXT_PIECES: [&str; 32] = [
    "a", "b", "A", "B", "ab", "aab", "1", "23", " ", ":", "-", ".", "_", "[", "]", "<", "{", "}", "\n", "\t", "é", "É",
    "ſ", "K", "k", "İ", "ı", "i", "\u{301}", "²", "٣", "\u{1c}",
];

fn generate(random: &mut Random, depth: usize) -> String {
    let mut out = String::new();
    for _ in 0..=random.below(5) {
        match random.below(12) {
            0 | 1 if depth > 0 => {
                let inner = generate(random, depth - 1);
                let open = random.pick(&["(", "(?:", "(?P<x>", "(?P<y>", "(?=", "(?!", "(?<=", "(?>", "(?i:", "(?(1)"]);
                out.push_str(&format!("{open}{inner})"));
            }
            2 if depth > 0 => {
                let (left, right) = (generate(random, depth - 1), generate(random, depth - 1));
                out.push_str(&format!("(?:{left}|{right})"));
            }
            _ => out.push_str(random.pick(&PIECES)),
        }
        if random.below(3) == 0 {
            out.push_str(random.pick(&QUANTIFIERS));
        }
    }
    if random.below(12) == 0 {
        out.insert_str(0, random.pick(&["(?i)", "(?s)", "(?m)", "(?x)", "(?a)", "(?ai)", "(?iu)"]));
    }
    out
}

/// Replaces, inserts or removes a few characters.
pub fn mutate(random: &mut Random, text: &str, pieces: &[&str]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(3) {
        let at = random.below(characters.len() + 1);
        match random.below(3) {
            0 if at < characters.len() => {
                let count = (1 + random.below(4)).min(characters.len() - at);
                characters.drain(at..at + count);
            }
            1 if at < characters.len() => {
                let from = random.below(characters.len());
                let part: Vec<char> = characters[from..characters.len().min(from + 1 + random.below(8))].to_vec();
                characters.splice(at..at, part);
            }
            _ => {
                let part: Vec<char> = random.pick(pieces).chars().collect();
                characters.splice(at..at, part);
            }
        }
    }
    characters.into_iter().collect()
}

fn texts(random: &mut Random, lines: &[String]) -> Vec<String> {
    let mut out: Vec<String> =
        (0..6).map(|_| (0..random.below(9)).map(|_| random.pick(&TEXT_PIECES)).collect()).collect();
    let pieces: Vec<&str> = TEXT_PIECES.to_vec();
    for _ in 0..3 {
        let line = lines[random.below(lines.len())].clone();
        out.push(format!("{}\n", mutate(random, &line, &pieces)));
    }
    out
}

#[derive(Default, Debug)]
struct Tally {
    patterns: usize,
    both_accept: usize,
    both_refuse: usize,
    unsupported: usize,
    limited: usize,
    texts: usize,
    matches: usize,
}

/// Compares one pattern; what disagrees is returned.
fn check(oracle: &mut Oracle, pattern: &str, multiline: bool, texts: &[String], tally: &mut Tally) -> Option<String> {
    tally.patterns += 1;
    let verdict = oracle.search(pattern, multiline, Some(texts));
    let ours = Pattern::new(pattern, multiline);
    let (ours, found) = match (ours, verdict) {
        (Err(_), Verdict::Refused(_)) => {
            tally.both_refuse += 1;
            return None;
        }
        (Ok(_), Verdict::Refused(error)) => {
            return Some(format!("Python refuses {pattern:?}: {error}"));
        }
        (Err(PatternError::Syntax { message, position }), Verdict::Found { .. }) => {
            return Some(format!("only we refuse {pattern:?}: {message} at {position}"));
        }
        (Err(_), Verdict::Found { .. }) => {
            tally.unsupported += 1;
            return None;
        }
        (Ok(ours), Verdict::Found { found, .. }) => (ours, found),
    };
    tally.both_accept += 1;
    for (index, text) in texts.iter().enumerate() {
        let expected = match found.get(&index) {
            Some(None) => {
                tally.limited += 1;
                continue;
            }
            Some(Some(spans)) => Some(spans),
            None => None,
        };
        tally.texts += 1;
        tally.matches += usize::from(expected.is_some());
        match spans_of(&ours, text) {
            Ok(spans) if spans.as_ref() == expected => {}
            Err(PatternError::Catastrophic { .. }) => tally.limited += 1,
            Err(PatternError::Unsupported { .. }) => tally.unsupported += 1,
            Err(PatternError::Engine { message }) if message.contains("size limit") => tally.limited += 1,
            other => {
                return Some(format!(
                    "{pattern:?} on {text:?} (multiline {multiline}): {other:?}, Python {expected:?}"
                ));
            }
        }
    }
    None
}

#[test]
fn whatever_python_and_we_both_accept_agrees() {
    let (mut random, time) = budget();
    let export = export();
    let expressions: Vec<String> =
        export.stock.iter().flat_map(|filter| filter.failregex.iter().chain(&filter.prefregex).cloned()).collect();
    let lines: Vec<String> =
        export.filters.iter().flat_map(|filter| filter.lines.iter().map(|sample| sample.line.clone())).collect();
    let (mut oracle, mut tally, mut wrong) = (Oracle::start(), Tally::default(), Vec::new());
    let pieces: Vec<&str> = PIECES.iter().chain(&QUANTIFIERS).copied().collect();
    let start = Instant::now();
    while start.elapsed() < time && wrong.len() < 20 {
        let pattern = match random.below(3) {
            0 => {
                let stock = bangui::pattern::tags::expand_tags(
                    &expressions[random.below(expressions.len())],
                    bangui::pattern::UseDns::Warn,
                );
                mutate(&mut random, &stock, &pieces)
            }
            _ => generate(&mut random, 3),
        };
        let texts = texts(&mut random, &lines);
        wrong.extend(check(&mut oracle, &pattern, random.below(4) == 0, &texts, &mut tally));
    }
    println!("{tally:?}");
    assert!(tally.both_accept > 20 && tally.matches > 20, "too little was compared: {tally:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
