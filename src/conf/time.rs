//! fail2ban's time language: `600`, `10m`, `1d 12h`, `1mo`, `1hour+30min`, `-1`.
//!
//! fail2ban rewrites such a text into an arithmetic expression and hands that to Python's `eval`, in a root process. Here
//! the same rewriting is followed by an evaluator of our own that knows numbers, the four operations and parentheses,
//! and refuses everything else.

/// A length of time in seconds, as the type that fail2ban would compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seconds {
    /// A whole number.
    Whole(i64),
    /// A fraction, or anything computed from months, years or by division.
    Fraction(f64),
}

impl Seconds {
    /// The number as a float.
    pub fn as_f64(self) -> f64 {
        match self {
            // Above 2^53 seconds the rounding is of no interest to anybody.
            Seconds::Whole(number) => number as f64,
            Seconds::Fraction(number) => number,
        }
    }
}

/// Units with the length of one in seconds, longest names first, in the order in which fail2ban replaces them.
const UNITS: [(&[&str], &str); 7] = [
    (&["days", "day", "da", "dd", "d"], "*86400"),
    (&["weeks", "week", "wee", "we", "ww", "w"], "*604800"),
    (&["months", "month", "mon", "mo"], "*2629800.0"),
    (&["years", "year", "yea", "ye", "yy", "y"], "*31557600.0"),
    (&["seconds", "second", "sec", "se", "ss", "s"], "*1"),
    (&["minutes", "minute", "min", "mi", "mm", "m"], "*60"),
    (&["hours", "hour", "hou", "ho", "hh", "h"], "*3600"),
];

/// The longest text taken for a time, in bytes.
const MAX_LENGTH: usize = 256;

/// How deep parentheses and signs may be nested.
const MAX_DEPTH: usize = 16;

/// Reads a time. The error says in one sentence why it is none.
pub fn seconds(text: &str) -> Result<Seconds, String> {
    let plain = text.len() <= MAX_LENGTH && text.is_ascii() && !text.contains(['\n', '\r']);
    if !plain {
        return Err("a time is one short line of plain digits and units such as 1d 12h".to_owned());
    }
    let mut expression = part_units(text);
    for (names, factor) in UNITS {
        expression = replace_unit(&expression, names, factor);
    }
    let expression = join_numbers(&expression);
    let mut parser = Parser { rest: expression.trim(), depth: 0 };
    let value = parser.sum().and_then(|value| match parser.rest {
        "" => Some(value),
        _ => None,
    });
    value.ok_or_else(|| format!("'{text}' is not a time; write seconds or units, such as 600, 10m or 1d 12h"))
}

/// Puts a blank between a letter and a digit behind it: `1d12h` becomes `1d 12h`.
fn part_units(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut letter = false;
    for c in text.chars() {
        if letter && c.is_ascii_digit() {
            out.push(' ');
        }
        letter = c.is_ascii_alphabetic();
        out.push(c);
    }
    out
}

/// Replaces every name of one unit that follows a digit or white space and ends at a word's end.
fn replace_unit(text: &str, names: &[&str], factor: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    while at < text.len() {
        let behind = at > 0 && {
            let before = text.as_bytes()[at - 1];
            before.is_ascii_digit() || super::value::is_space(before.into())
        };
        let unit = names.iter().find(|name| {
            let part = text.as_bytes().get(at..at + name.len());
            let next = text.as_bytes().get(at + name.len());
            part.is_some_and(|part| part.eq_ignore_ascii_case(name.as_bytes()))
                && !next.is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_')
        });
        match unit.filter(|_| behind) {
            Some(name) => {
                out.push_str(factor);
                at += name.len();
            }
            None => {
                out.push(char::from(text.as_bytes()[at]));
                at += 1;
            }
        }
    }
    out
}

/// Puts a plus between two numbers with only white space between them. Each digit takes part in one pair only, so
/// `1 2 3` is no time; fail2ban has it so.
fn join_numbers(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        out.push(char::from(bytes[at]));
        at += 1;
        if !bytes[at - 1].is_ascii_digit() {
            continue;
        }
        let blanks = bytes[at..].iter();
        let gap = blanks.take_while(|&&byte| super::value::is_space(byte.into())).count();
        let next = bytes.get(at + gap).filter(|byte| byte.is_ascii_digit());
        if let Some(&next) = next.filter(|_| gap > 0) {
            out.push('+');
            out.push(char::from(next));
            at += gap + 1;
        }
    }
    out
}

/// Evaluates sums, products, signs and parentheses.
struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    /// Takes one of these characters, if it is next.
    fn take(&mut self, any: &[char]) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let c = self.rest.chars().next().filter(|c| any.contains(c))?;
        self.rest = &self.rest[1..];
        Some(c)
    }

    fn sum(&mut self) -> Option<Seconds> {
        let mut left = self.product()?;
        while let Some(sign) = self.take(&['+', '-']) {
            left = compute(left, sign, self.product()?)?;
        }
        Some(left)
    }

    fn product(&mut self) -> Option<Seconds> {
        let mut left = self.factor()?;
        while let Some(sign) = self.take(&['*', '/']) {
            left = compute(left, sign, self.factor()?)?;
        }
        Some(left)
    }

    fn factor(&mut self) -> Option<Seconds> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = match self.take(&['(', '-', '+']) {
            Some('(') => {
                let inner = self.sum()?;
                self.take(&[')'])?;
                Some(inner)
            }
            Some('-') => compute(Seconds::Whole(0), '-', self.factor()?),
            Some(_) => self.factor(),
            None => self.number(),
        };
        self.depth -= 1;
        value
    }

    fn number(&mut self) -> Option<Seconds> {
        let length = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (digits, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        self.rest = rest;
        if digits.contains('.') {
            let one_dot = digits.matches('.').count() == 1 && digits.len() > 1;
            let number: f64 = digits.parse().ok().filter(|_| one_dot)?;
            return Some(Seconds::Fraction(number));
        }
        // Python takes no leading zeros but for zero itself.
        let zeros = digits.starts_with('0') && !digits.trim_start_matches('0').is_empty();
        digits.parse().ok().filter(|_| !zeros).map(Seconds::Whole)
    }
}

fn compute(left: Seconds, sign: char, right: Seconds) -> Option<Seconds> {
    if let (Seconds::Whole(left), Seconds::Whole(right)) = (left, right) {
        let whole = match sign {
            '+' => Some(left.checked_add(right)?),
            '-' => Some(left.checked_sub(right)?),
            '*' => Some(left.checked_mul(right)?),
            _ => None,
        };
        if let Some(whole) = whole {
            return Some(Seconds::Whole(whole));
        }
    }
    let (left, right) = (left.as_f64(), right.as_f64());
    let number = match sign {
        '+' => left + right,
        '-' => left - right,
        '*' => left * right,
        _ => left / right,
    };
    number.is_finite().then_some(Seconds::Fraction(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_fail2ban_reads_them() {
        for (text, expected) in [
            ("600", 600),
            ("-1", -1),
            ("10m", 600),
            ("1d 12h", 129_600),
            ("1d12h", 129_600),
            ("1hour+30min", 5400),
            ("2 hours 3 sec", 7203),
            ("1H 2M 3S", 3723),
            ("1w - 1d", 518_400),
            ("60 * 60", 3600),
            ("(1h + 1m) * 2", 7320),
            ("1 30", 31),
            (" 5", 5),
        ] {
            assert_eq!(seconds(text), Ok(Seconds::Whole(expected)), "{text}");
        }
        assert_eq!(seconds("1mo"), Ok(Seconds::Fraction(2_629_800.0)));
        assert_eq!(seconds("1year-6mo"), Ok(Seconds::Fraction(15_778_800.0)));
        assert_eq!(seconds("1h/2"), Ok(Seconds::Fraction(1800.0)));
        assert_eq!(seconds("0.5"), Ok(Seconds::Fraction(0.5)));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "abc",
            "1x",
            "1 2 3",
            "m",
            "1/0",
            "05",
            "1e5",
            "0x10",
            "__import__('os')",
            "1;2",
            "1\n2",
            "1h 2h ago",
            "1d, 2h",
            "10 минут",
            "()",
            "1..2",
            ".",
            "2**9",
            "9999999999999999999",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert!(seconds(&"(".repeat(100)).is_err());
        assert!(seconds(&"-".repeat(100)).is_err());
    }

    /// What the installed fail2ban says about the same texts. It is asked only for texts that are harmless to evaluate.
    #[test]
    fn the_installed_fail2ban_agrees() {
        let texts = [
            "600",
            "10m",
            "1d 12h",
            "1mo",
            "1y 2w",
            "1year-6mo",
            "90s",
            "1d2h3m4s",
            "1 30",
            "1 2 3",
            "2 hours",
            "1hh",
            "5mm",
            "5mi",
            "3we",
            "05",
            "0",
            "00",
            "1h/2",
            "1.5h",
            ".5h",
            "-1",
            "- 1 h",
            "abc",
            "1h2",
            "1M",
            "1MO",
            "2dd 1da",
            "1 d",
            "1hours30minutes",
            "",
            "1d+",
            "d",
            " 1",
            "1 ",
            "1\t2",
            "3*-2",
            "(1)(2)",
            "1h_",
            "1m5",
        ];
        let script = "import sys\nsys.path.insert(0, '/usr/lib/python3/dist-packages')\n\
            from fail2ban.server.mytime import MyTime\n\
            for text in sys.argv[1:]:\n \
            try: print(MyTime.str2seconds(text))\n \
            except Exception: print('refused')";
        let mut python = std::process::Command::new("python3");
        let Ok(output) = python.args(["-W", "ignore", "-c", script]).args(texts).output() else {
            return;
        };
        if !output.status.success() {
            return; // fail2ban is not installed here.
        }
        let answers = String::from_utf8_lossy(&output.stdout);
        assert_eq!(answers.lines().count(), texts.len());
        for (text, theirs) in texts.iter().zip(answers.lines()) {
            let ours = match seconds(text) {
                Ok(Seconds::Whole(number)) => number.to_string(),
                Ok(Seconds::Fraction(number)) => format!("{number:?}"),
                Err(_) => "refused".to_owned(),
            };
            assert_eq!(ours, theirs, "{text:?}");
        }
    }
}
