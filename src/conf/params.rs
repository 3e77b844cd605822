//! The small languages inside values: `name[key=value, …]`, lists of such, lists of words, shell-like words.
//!
//! Each function does what the regular expression or the library call of fail2ban does with the same text, its oddities
//! included. Nothing here looks at a file.

use super::error::Error;
use super::ordered::Ordered;
use super::value::{Value, is_space, is_word, quoted, strip, strip_end};
use super::version::Version;

/// A filter or action as a jail names it: its name and its parameters.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The name of the file, without its ending.
    pub name: String,
    /// The parameters in brackets, in order; keys as written.
    pub parameters: Ordered<Value>,
}

/// Reads `name`, `name[a=b, c="d, e"]`, `name[a=b][c=d]` or `name[a?family=inet6=b]` as the newest fail2ban does. The error
/// is fail2ban's own wording.
pub fn invocation(text: &str) -> Result<Invocation, String> {
    invocation_as(text, &Version::newest())
}

/// Like [`invocation`], as this version reads it.
pub fn invocation_as(text: &str, version: &Version) -> Result<Invocation, String> {
    let Some(open) = text.find('[') else {
        if text.is_empty() {
            return Err("unexpected option syntax".to_owned());
        }
        return Ok(Invocation { name: text.to_owned(), ..Invocation::default() });
    };
    let inner =
        strip_end(&text[open + 1..]).strip_suffix(']').filter(|_| open > 0).ok_or("unexpected option syntax")?;
    Ok(Invocation { name: text[..open].to_owned(), parameters: parameters(inner, version.gives_conditions())? })
}

fn is_key_char(c: char) -> bool {
    is_word(c) || c == '-' || c == '.'
}

/// Where the key ends that begins at `at`: `blk`, or with `conditions` also `blk?family=inet6`.
fn key_end(text: &str, at: usize, conditions: bool) -> usize {
    let end = behind(text, at, is_key_char);
    if !conditions || end == at || byte(text, end) != Some(b'?') {
        return end;
    }
    let name = behind(text, end + 1, is_key_char);
    if name == end + 1 || byte(text, name) != Some(b'=') {
        return end;
    }
    let value = behind(text, name + 1, is_key_char);
    if value == name + 1 { end } else { value }
}

/// The parameters between the brackets.
fn parameters(text: &str, conditions: bool) -> Result<Ordered<Value>, String> {
    let mut found = Ordered::new();
    let mut at = 0;
    while at < text.len() {
        let start = behind(text, at, is_space);
        let key_end = key_end(text, start, conditions);
        if key_end == start || byte(text, key_end) != Some(b'=') {
            let rest = &text[at..];
            if strip(rest.strip_prefix(',').unwrap_or(rest)).is_empty() {
                break;
            }
            return Err(format!("expected option, wrong syntax at {}: {}", position(text, at), shown(rest)));
        }
        let key = &text[start..key_end];
        let (value, end) = parameter_value(text, key_end + 1);
        at = match separator(text, end) {
            Some(next) => next,
            None => {
                let (at, key) = (position(text, end), quoted(key));
                return Err(format!("unexpected syntax at {at} after option {key}: {}", shown(&text[end..])));
            }
        };
        found.insert(key, Value::text(strip(value)));
    }
    Ok(found)
}

/// A place in a text as Python counts it.
fn position(text: &str, at: usize) -> usize {
    text[..at].chars().count()
}

/// As much of the text as fail2ban's messages show.
fn shown(text: &str) -> &str {
    text.char_indices().nth(25).map_or(text, |(end, _)| &text[..end])
}

/// The value that begins at `at`, without its quotes, and where it ends. A quote that is never closed is plain text.
fn parameter_value(text: &str, at: usize) -> (&str, usize) {
    if let Some(quote @ (b'"' | b'\'')) = byte(text, at)
        && let Some(length) = memchr::memchr(quote, &text.as_bytes()[at + 1..])
    {
        let close = at + 1 + length;
        return (&text[at + 1..close], close + 1);
    }
    let end = value_end(text, at);
    (&text[at..end], end)
}

/// Where a value without quotes ends.
fn value_end(text: &str, at: usize) -> usize {
    memchr::memchr2(b',', b']', &text.as_bytes()[at..]).map_or(text.len(), |length| at + length)
}

/// Where the next parameter begins: behind a comma, behind `][`, or at the end of the text.
fn separator(text: &str, at: usize) -> Option<usize> {
    match byte(text, at) {
        None => Some(at),
        Some(b',') => Some(at + 1),
        Some(b']') => {
            let bracket = behind(text, at + 1, is_space);
            (byte(text, bracket) == Some(b'[')).then_some(bracket + 1)
        }
        Some(b'\n') if at + 1 == text.len() => Some(at),
        Some(_) => None,
    }
}

/// The byte at a place.
fn byte(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

/// The first place from `at` on whose character does not satisfy the condition.
fn behind(text: &str, mut at: usize, condition: impl Fn(char) -> bool) -> usize {
    while let Some(byte) = byte(text, at) {
        let c = if byte.is_ascii() { byte.into() } else { text[at..].chars().next().unwrap_or_default() };
        if !condition(c) {
            break;
        }
        at += c.len_utf8();
    }
    at
}

/// Steps that the search for one bracket group may take; real values need a few hundred.
const MAX_STEPS: usize = 1_000_000;

/// Splits the value of `action` into its invocations as the newest fail2ban does: at white space, but not inside the
/// brackets.
pub fn invocations(text: &str) -> Result<Vec<String>, Error> {
    invocations_as(text, &Version::newest())
}

/// Like [`invocations`], as this version does it.
pub fn invocations_as(text: &str, version: &Version) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut at = behind(text, 0, is_space);
    while at < text.len() {
        let end = Splitter::new(text, version.gives_conditions()).end(at)?;
        found.push(strip(&text[at..end]).to_owned());
        at = behind(text, end, is_space);
    }
    Ok(found)
}

/// The search for the end of one invocation, which tries several readings of the same text.
struct Splitter<'a> {
    text: &'a str,
    /// Whether keys may have conditions.
    conditions: bool,
    /// Places where a parameter was tried and led nowhere.
    dead: Vec<bool>,
    steps: usize,
}

impl<'a> Splitter<'a> {
    fn new(text: &'a str, conditions: bool) -> Self {
        Splitter { text, conditions, dead: Vec::new(), steps: 0 }
    }

    /// The end of the invocation that begins at `at`, which is not white space.
    fn end(&mut self, at: usize) -> Result<usize, Error> {
        let name_end = behind(self.text, at, |c| c != '[' && !is_space(c));
        if name_end > at {
            let open = behind(self.text, name_end, is_space);
            if byte(self.text, open) == Some(b'[') {
                let first = behind(self.text, open + 1, is_space);
                if let Some(end) = self.body(first)? {
                    return Ok(end);
                }
            }
        }
        Ok(behind(self.text, at, |c| !is_space(c)))
    }

    /// Whether what stands at `at`, behind the closing bracket, may follow an invocation.
    fn closes(&self, at: usize) -> bool {
        at == self.text.len() || behind(self.text, at, is_space) > at
    }

    /// Reads parameters from `first` on up to a closing bracket; a work list stands for the backtracking of a regular
    /// expression, the most promising reading on top.
    fn body(&mut self, first: usize) -> Result<Option<usize>, Error> {
        if let Some(end) = self.plain_body(first) {
            return Ok(Some(end));
        }
        self.dead.resize(self.text.len() + 1, false);
        let mut work = vec![first];
        while let Some(at) = work.pop() {
            if self.dead[at] {
                continue;
            }
            self.dead[at] = true;
            // A closing bracket is the last thing to try at a place; a parameter cannot begin with one, so both never
            // apply to the same place.
            if byte(self.text, at) == Some(b']') && self.closes(at + 1) {
                return Ok(Some(at + 1));
            }
            let readings = self.readings(at)?;
            work.extend(readings.into_iter().rev());
        }
        Ok(None)
    }

    /// What [`Splitter::body`] finds where the preferred reading of each parameter leads to the end, as it mostly does.
    fn plain_body(&self, first: usize) -> Option<usize> {
        let mut at = first;
        while byte(self.text, at) != Some(b']') || !self.closes(at + 1) {
            let key_end = key_end(self.text, at, self.conditions);
            if key_end == at || byte(self.text, key_end) != Some(b'=') {
                return None;
            }
            let (_, end) = parameter_value(self.text, key_end + 1);
            let gap = behind(self.text, end, is_space);
            let next = separator(self.text, gap).filter(|&next| next > gap);
            at = next.map_or(gap, |next| behind(self.text, next, is_space));
        }
        Some(at + 1)
    }

    /// Where reading one parameter at `at` may lead, the preferred place first.
    fn readings(&mut self, at: usize) -> Result<Vec<usize>, Error> {
        let text = self.text;
        let key_end = key_end(text, at, self.conditions);
        if key_end == at || byte(text, key_end) != Some(b'=') {
            return Ok(Vec::new());
        }
        let value = key_end + 1;
        let mut ends = Vec::new();
        if let Some(quote @ (b'"' | b'\'')) = byte(text, value) {
            let close = memchr::memchr(quote, &text.as_bytes()[value + 1..]);
            ends.extend(close.map(|length| value + 1 + length + 1));
        }
        let run = value_end(text, value);
        ends.extend((value..=run).rev().filter(|&end| text.is_char_boundary(end)));
        self.steps += ends.len();
        if self.steps > MAX_STEPS {
            return Err(Error::limit("a list of actions is too long and too ambiguous; split it into shorter lines"));
        }
        let mut places = Vec::new();
        for end in ends {
            let gap = behind(text, end, is_space);
            if let Some(next) = separator(text, gap).filter(|&next| next > gap) {
                places.push(behind(text, next, is_space));
            }
            // White space may also be cut short, but a parameter or bracket begins at a visible character only.
            places.push(gap);
        }
        places.dedup();
        Ok(places)
    }
}

/// Splits at commas and white space, as `ignoreip` is split.
pub fn words(text: &str) -> Vec<&str> {
    text.split(|c| c == ',' || is_space(c)).filter(|word| !word.is_empty()).collect()
}

/// Splits at commas, blanks and newlines only, as fail2ban did before 1.1.0.
pub fn words_of_old(text: &str) -> Vec<&str> {
    text.split([' ', ',', '\n']).map(strip).filter(|word| !word.is_empty()).collect()
}

/// Splits as a POSIX shell would split words; comments are not recognised.
pub fn shell_words(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => found.extend(word.take()),
            '\\' => {
                let next = chars.next().ok_or("No escaped character")?;
                word.get_or_insert_default().push(next);
            }
            '\'' | '"' => quoted_part(c, &mut chars, word.get_or_insert_default())?,
            c => word.get_or_insert_default().push(c),
        }
    }
    found.extend(word);
    Ok(found)
}

/// Reads up to the closing quote. Inside double quotes a backslash escapes only the quote and itself.
fn quoted_part(quote: char, chars: &mut std::str::Chars, word: &mut String) -> Result<(), String> {
    loop {
        match chars.next().ok_or("No closing quotation")? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => {
                let next = chars.next().ok_or("No escaped character")?;
                if next != '"' && next != '\\' {
                    word.push('\\');
                }
                word.push(next);
            }
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, Vec<(String, String)>) {
        let found = invocation(text).expect("an invocation");
        let parameters = found.parameters.iter();
        let parameters = parameters.map(|(key, value)| (key.to_string(), value.to_text().into()));
        (found.name, parameters.collect())
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn parameters_are_read_in_all_their_forms() {
        assert_eq!(read("x"), ("x".into(), vec![]));
        assert_eq!(read("x[]"), ("x".into(), vec![]));
        assert_eq!(read("x[a=b, c=\"d, e\"][f='g]']"), ("x".into(), pairs(&[("a", "b"), ("c", "d, e"), ("f", "g]")])),);
    }

    #[test]
    fn a_blank_before_the_comma_is_an_error_after_a_quoted_value_only() {
        assert_eq!(read("x[a=b , c=d]").1, pairs(&[("a", "b"), ("c", "d")]));
        assert_eq!(invocation("x[a='b' , c=d]").unwrap_err(), "unexpected syntax at 5 after option 'a':  , c=d");
    }

    #[test]
    fn bad_invocations_say_why() {
        assert_eq!(invocation("x[a=b").unwrap_err(), "unexpected option syntax");
        assert_eq!(invocation("[a=b]").unwrap_err(), "unexpected option syntax");
        assert_eq!(invocation("x[a=b, c]").unwrap_err(), "expected option, wrong syntax at 4:  c");
    }

    #[test]
    fn a_key_may_have_a_condition_since_1_1_1() {
        let text = "x[blk=DROP, blk?family=inet6='DROP 6', a?b=c]";
        let found = invocation("x[blk=DROP, blk?family=inet6='DROP 6']").unwrap().parameters;
        assert_eq!(found.get("blk?family=inet6").map(|value| value.to_text().into_owned()).as_deref(), Some("DROP 6"));
        assert!(invocation(text).unwrap_err().starts_with("expected option, wrong syntax"));
        assert!(invocation_as(text, &Version::new("1.1.0")).unwrap_err().starts_with("expected option, wrong syntax"));
        let list = "x[blk?family=inet6='DROP 6', b=c] y";
        assert_eq!(invocations(list).unwrap(), ["x[blk?family=inet6='DROP 6', b=c]", "y"]);
        assert_eq!(invocations_as(list, &Version::new("1.1.0")).unwrap().len(), 4);
    }

    #[test]
    fn action_lists_split_outside_of_brackets() {
        let split = |text| invocations(text).expect("a list");
        assert_eq!(split("a b\n c[x=1, y=\"2 3\"]\n"), ["a", "b", "c[x=1, y=\"2 3\"]"]);
        assert_eq!(split("a\n[x=1\n, y=2]  b"), ["a\n[x=1\n, y=2]", "b"]);
        assert_eq!(split("a[x=1]b c"), ["a[x=1]b", "c"]);
        assert_eq!(split("a[x=\"1 2 b"), ["a[x=\"1", "2", "b"]);
        assert_eq!(split("a[x=1][y=2 ] b"), ["a[x=1][y=2 ]", "b"]);
        assert_eq!(split(""), Vec::<String>::new());
    }

    #[test]
    fn words_and_shell_words() {
        assert_eq!(words("a, b\nc\td  ,,e"), ["a", "b", "c", "d", "e"]);
        assert_eq!(words_of_old("a, b\nc\td  ,,e\t"), ["a", "b", "c\td", "e"]);
        assert_eq!(shell_words(r#"a "b c"'d' \"e "x\y\"" ''"#).unwrap(), ["a", "b cd", "\"e", "x\\y\"", ""]);
        assert!(shell_words("a 'b").is_err());
        assert!(shell_words("a\\").is_err());
    }
}
