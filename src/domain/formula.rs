//! The formula by which ban times grow, which fail2ban evaluates as Python, as root, at each ban: only arithmetic over a few words is taken,
//! it is parsed as Python would, and tried with small and large counts, so that no number in it grows without bounds.

/// The values a formula may name.
const NAMES: [&str; 4] = ["ban.Time", "ban.Count", "banFactor", "math.e"];
/// The functions a formula may call, and how many arguments each takes at least and at most.
const FUNCTIONS: [(&str, usize, usize); 8] = [
    ("math.exp", 1, 1),
    ("math.log", 1, 2),
    ("math.pow", 2, 2),
    ("math.sqrt", 1, 1),
    ("float", 1, 1),
    ("int", 1, 1),
    ("max", 2, 8),
    ("min", 2, 8),
];
/// The longest formula, in bytes.
const LONGEST: usize = 512;
/// Brackets within brackets, and conditions within conditions.
const DEEPEST: usize = 32;
/// The farthest shift: Python makes a number of so many bits.
const FARTHEST_SHIFT: f64 = 10_000.0;
/// Counts of former bans for which it must give a number.
const COUNTS: u32 = 100;
/// A count that nobody reaches, for which it must not grow without bounds.
const FAR: f64 = 1000.0;

/// Says what is wrong with a formula, in a sentence.
pub fn check(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("The formula is longer than {LONGEST} characters."));
    }
    if text.chars().any(char::is_control) {
        return Err("The formula is one line without control characters.".to_owned());
    }
    for count in 0..=COUNTS {
        let time = evaluate(text, f64::from(count))?;
        if !time.is_finite() {
            return Err(format!("The formula gives no number for somebody banned {count} times."));
        }
    }
    evaluate(text, FAR).map(drop)
}

fn evaluate(text: &str, count: f64) -> Result<f64, String> {
    let mut parser = Parser { rest: text, count, depth: 0 };
    let value = parser.condition()?;
    if parser.rest.trim_start().is_empty() { Ok(value) } else { Err(parser.unexpected()) }
}

struct Parser<'t> {
    rest: &'t str,
    count: f64,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn unexpected(&self) -> String {
        let rest: String = self.rest.trim_start().chars().take(20).collect();
        let words: Vec<&str> = NAMES.into_iter().chain(FUNCTIONS.map(|(name, _, _)| name)).collect();
        let place = if rest.is_empty() { "its end".to_owned() } else { format!("'{rest}'") };
        format!(
            "The formula makes no sense at {place}: it has numbers, + - * / // % << >> < > <= >= == ( ), if and else, and these words: {}.",
            words.join(", ")
        )
    }

    /// Takes a sign, if it is there and no longer one begins so.
    fn takes(&mut self, sign: &str) -> bool {
        let rest = self.rest.trim_start();
        let is_longer = |sign: &str| {
            ["**", "<<", ">>", "//", "<=", ">=", "=="].iter().any(|long| rest.starts_with(long) && sign.len() < 2)
        };
        match rest.strip_prefix(sign) {
            Some(behind) if !is_longer(sign) => {
                self.rest = behind;
                true
            }
            _ => false,
        }
    }

    fn peek_word(&self) -> &'t str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')).unwrap_or(rest.len());
        &rest[..end]
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_next = self.peek_word() == word;
        if is_next {
            self.rest = &self.rest.trim_start()[word.len()..];
        }
        is_next
    }

    /// `a if b else c`.
    fn condition(&mut self) -> Result<f64, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("The formula has too many brackets within each other.".to_owned());
        }
        let value = self.comparison()?;
        let result = if self.takes_word("if") {
            let holds = self.comparison()?;
            if !self.takes_word("else") {
                return Err(self.unexpected());
            }
            let other = self.condition()?;
            if holds != 0.0 { value } else { other }
        } else {
            value
        };
        self.depth -= 1;
        Ok(result)
    }

    fn comparison(&mut self) -> Result<f64, String> {
        let left = self.shift()?;
        type Holds = fn(f64, f64) -> bool;
        let signs: [(&str, Holds); 5] = [
            ("<=", |left, right| left <= right),
            (">=", |left, right| left >= right),
            ("==", |left, right| left == right),
            ("<", |left, right| left < right),
            (">", |left, right| left > right),
        ];
        for (sign, holds) in signs {
            if self.takes(sign) {
                return Ok(f64::from(u8::from(holds(left, self.shift()?))));
            }
        }
        Ok(left)
    }

    fn shift(&mut self) -> Result<f64, String> {
        let mut value = self.sum()?;
        loop {
            let power: fn(f64) -> f64 = match () {
                () if self.takes("<<") => |by| by,
                () if self.takes(">>") => |by| -by,
                () => return Ok(value),
            };
            let by = self.sum()?;
            // What is not taken in a condition is judged as well, so a count below zero says nothing.
            if by.abs() > FARTHEST_SHIFT {
                return Err(format!("The formula shifts by {by:.0} bits for somebody banned {} times.", self.count));
            }
            value *= power(by).exp2();
        }
    }

    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.takes("+") {
                value += self.product()?;
            } else if self.takes("-") {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.signed()?;
        loop {
            if self.takes("*") {
                value *= self.signed()?;
            } else if self.takes("//") || self.takes("/") {
                value /= self.signed()?;
            } else if self.takes("%") {
                value %= self.signed()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn signed(&mut self) -> Result<f64, String> {
        let mut sign = 1.0;
        loop {
            if self.takes("-") {
                sign = -sign;
            } else if !self.takes("+") {
                return Ok(sign * self.atom()?);
            }
        }
    }

    fn atom(&mut self) -> Result<f64, String> {
        if self.takes("(") {
            let value = self.condition()?;
            return if self.takes(")") { Ok(value) } else { Err(self.unexpected()) };
        }
        let word = self.peek_word();
        if let Some((name, least, most)) = FUNCTIONS.into_iter().find(|(name, _, _)| *name == word) {
            self.takes_word(name);
            return self.call(name, least, most);
        }
        let value = match word {
            "ban.Time" => 600.0,
            "ban.Count" => self.count,
            "banFactor" => 1.0,
            "math.e" => std::f64::consts::E,
            // A number as Python writes it: no `inf`, no leading zeros.
            number if number.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !is_octal(number) => {
                number.parse().map_err(|_| self.unexpected())?
            }
            _ => return Err(self.unexpected()),
        };
        self.takes_word(word);
        Ok(value)
    }

    fn call(&mut self, name: &str, least: usize, most: usize) -> Result<f64, String> {
        let mut arguments = Vec::new();
        if !self.takes("(") {
            return Err(self.unexpected());
        }
        loop {
            arguments.push(self.condition()?);
            if !self.takes(",") {
                break;
            }
        }
        if !self.takes(")") {
            return Err(self.unexpected());
        }
        if !(least..=most).contains(&arguments.len()) {
            return Err(format!("The formula calls {name} with {} arguments.", arguments.len()));
        }
        let first = arguments[0];
        Ok(match name {
            "math.exp" => first.exp(),
            "math.log" => first.ln(),
            "math.pow" => first.powf(arguments[1]),
            "math.sqrt" => first.sqrt(),
            "int" => first.trunc(),
            "max" => arguments.into_iter().fold(f64::NEG_INFINITY, f64::max),
            "min" => arguments.into_iter().fold(f64::INFINITY, f64::min),
            _ => first,
        })
    }
}

/// Whether Python refuses a number for its leading zeros.
fn is_octal(number: &str) -> bool {
    let digits = number.strip_prefix('0').unwrap_or_default();
    digits.starts_with(|c: char| c.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && number.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_of_the_manual_are_taken() {
        for good in [
            "ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)",
            "ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor",
            "ban.Time * (1<<ban.Count) * banFactor",
            "min(ban.Time * 2, 3600)",
            " -ban.Time + 1.5e3 // 2 % 7",
            "ban.Time",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_python_would_refuse_or_never_end_is_refused() {
        for wrong in [
            "",
            " ",
            "ban.Time * (",
            "ban.Time ban.Count",
            "ban.Time *",
            "1 +* 2",
            "max()",
            "float",
            "ban.Time if 1",
            "007",
            "1e",
            "inf",
            "__import__('os')",
            "ban.__class__",
            "9**9**9",
            "open",
            "\"a\"",
            "ban.Time; 1",
            "ban.Time = 1",
            "1<<(1<<40)",
            "1<<(1<<ban.Count)",
            "ban.Time\n",
            "'a'*10**10",
            "[0]*10000000000",
            "ban.Time / ban.Count",
            "ban.Time * math.log(ban.Count)",
            "math.pow(9, math.pow(9, 99))",
            "math.exp(ban.Time * 9)",
            "(lambda: 1)()",
            "ban.Time if open('/etc/passwd') else 1",
            "1 if 1 else 9**9**9",
            "int('9'*10**9)",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        assert!(check(&"(".repeat(500)).is_err());
        assert!(check(&format!("{}1", "1 if 1 else ".repeat(40))).is_err());
    }
}
