//! Replacement of `<tag>` in the options of a filter or an action by other options.
//!
//! Tags that name no option stay as they are: they are filled in at ban time or belong to the pattern.

use std::borrow::Cow;
use std::rc::Rc;

use super::error::Error;
use super::ordered::Ordered;
use super::value::Value;

/// How often one tag may be replaced in one value; more means a circle.
const MAX_REPEATS: usize = 25;

/// How long a value may become, in bytes.
const MAX_VALUE: usize = 4 << 20;

/// Finds a further replacement for a tag that is not among the options themselves.
pub type Fallback<'a> = dyn FnMut(&str) -> Result<Option<Rc<str>>, Error> + 'a;

/// Replaces the tags in all values but those of the options in `ignore`, until nothing is left to replace.
/// Tags named in `ignore` are left alone everywhere.
pub fn substitute(
    options: Ordered<Value>,
    ignore: &[String],
    fallback: &mut Fallback,
) -> Result<Ordered<Value>, Error> {
    let names: Vec<Rc<str>> = options.keys().cloned().collect();
    let mut substitution = Substitution { options, ignore, met: Vec::new(), fallback };
    let mut done: Vec<bool> = names.iter().map(|name| is_among(ignore, name)).collect();
    let mut counts: Vec<Counts> = vec![Counts::new(); names.len()];
    loop {
        let mut again = false;
        for (at, name) in names.iter().enumerate() {
            if done[at] {
                continue;
            }
            let before: Rc<str> = match substitution.options.at(at) {
                Value::Str(text) => text.clone(),
                value => value.to_text().as_ref().into(),
            };
            if let Some(value) = substitution.at_once(name, &before)? {
                if *value != *before {
                    *substitution.options.at_mut(at) = Value::text(value);
                }
                done[at] = true;
                continue;
            }
            let value = match substitution.pass(name, &before, &mut counts[at])? {
                Some(value) if *value != *before => value,
                // What tags stand for never changes, so a value that stayed as it is will stay so for good.
                _ => {
                    done[at] = true;
                    continue;
                }
            };
            match find_tag(&value, 0) {
                Some(_) => again = true,
                None => counts[at].clear(),
            }
            done[at] = !value.contains('<');
            *substitution.options.at_mut(at) = Value::text(value);
        }
        if !again {
            return Ok(substitution.options);
        }
    }
}

/// The list is short, so hashing it would cost more than it saves.
fn is_among(list: &[String], name: &str) -> bool {
    list.iter().any(|own| own == name)
}

/// How often each tag was replaced in one value; tags by their place in [`Substitution::met`].
type Counts = Vec<(usize, usize)>;

/// What a tag stands for. That never changes, so it is looked up once, however often the tag occurs.
#[derive(Clone, Debug)]
enum Meaning {
    /// It stays as it is.
    Itself,
    /// The option at this place, with the value it has by then.
    Option(usize),
    /// A text from elsewhere.
    Text(Rc<str>),
}

/// A value that is made in one go.
struct Whole<'n> {
    /// The option it is for.
    name: &'n str,
    counts: Counts,
    /// Whether a tag was met behind the beginning of another one.
    nested: bool,
    out: String,
}

impl Whole<'_> {
    /// How often a tag was replaced, this time included.
    fn count(&mut self, place: usize) -> usize {
        match self.counts.iter_mut().find(|(known, _)| *known == place) {
            Some((_, times)) => {
                *times += 1;
                *times
            }
            None => {
                self.counts.push((place, 1));
                1
            }
        }
    }
}

/// The options while their tags are replaced.
struct Substitution<'a, 'f> {
    options: Ordered<Value>,
    ignore: &'a [String],
    /// The tags seen so far.
    met: Vec<(Box<str>, Meaning)>,
    fallback: &'a mut Fallback<'f>,
}

impl Substitution<'_, '_> {
    /// The value of the option `name` with everything replaced, where that can be said without going through its
    /// replacements one by one: no tag begins in one text and ends in another, and none comes back too often.
    fn at_once<'b>(&mut self, name: &str, before: &'b str) -> Result<Option<Cow<'b, str>>, Error> {
        let mut value = Cow::Borrowed(before);
        let mut whole = Whole { name, counts: Counts::new(), nested: value.contains('<'), out: String::new() };
        // A tag with others in its name is there when those are replaced.
        while std::mem::take(&mut whole.nested) {
            whole.out = String::with_capacity(value.len() * 2);
            if !self.append(&mut whole, &value, 0)? {
                return Ok(None);
            }
            if *whole.out == *value {
                break;
            }
            value = Cow::Owned(std::mem::take(&mut whole.out));
        }
        Ok(Some(value))
    }

    /// Appends `text` with its tags replaced; false where it has to be done step by step.
    fn append(&mut self, whole: &mut Whole, text: &str, depth: usize) -> Result<bool, Error> {
        let mut rest = text;
        while let Some(open) = memchr::memchr(b'<', rest.as_bytes()) {
            whole.out.push_str(&rest[..open]);
            rest = &rest[open..];
            let length = rest.bytes().skip(1).take_while(|byte| !matches!(byte, b'<' | b'>' | b' ')).count();
            let end = length + 1;
            match rest.as_bytes().get(end) {
                // What follows in the text around it may make a tag of it.
                None if depth > 0 => return Ok(false),
                Some(b'>') if length > 0 => {}
                other => {
                    whole.nested |= other == Some(&b'<');
                    whole.out.push_str(&rest[..end]);
                    rest = &rest[end..];
                    continue;
                }
            }
            let place = self.place(&rest[1..end], whole.name)?;
            let replacement = match &self.met[place].1 {
                Meaning::Itself => {
                    whole.out.push_str(&rest[..=end]);
                    rest = &rest[end + 1..];
                    continue;
                }
                Meaning::Option(at) => self.options.at(*at).clone(),
                Meaning::Text(text) => Value::Str(text.clone()),
            };
            if depth == MAX_REPEATS || whole.count(place) > MAX_REPEATS || whole.out.len() > MAX_VALUE {
                return Ok(false);
            }
            if !self.append(whole, &replacement.to_text(), depth + 1)? {
                return Ok(false);
            }
            rest = &rest[end + 1..];
        }
        whole.out.push_str(rest);
        Ok(true)
    }

    /// The value of the option `name` after one pass from its start to its end; `None` when nothing was replaced.
    fn pass(&mut self, name: &str, before: &str, counts: &mut Counts) -> Result<Option<String>, Error> {
        let mut changed: Option<String> = None;
        let mut from = 0;
        loop {
            let value = changed.as_deref().unwrap_or(before);
            let Some((start, end)) = find_tag(value, from) else {
                return Ok(changed);
            };
            let tag = &value[start + 1..end - 1];
            let place = self.place(tag, name)?;
            let count = counts.iter_mut().find(|(known, _)| *known == place);
            if count.as_ref().is_some_and(|(_, times)| *times > MAX_REPEATS) {
                return Err(refers_back(name, tag));
            }
            let replacement = match &self.met[place].1 {
                Meaning::Itself => {
                    from = end;
                    continue;
                }
                Meaning::Option(at) => self.options.at(*at).to_text(),
                Meaning::Text(text) => Cow::Borrowed(&**text),
            };
            match count {
                Some((_, times)) => *times += 1,
                None => counts.push((place, 1)),
            }
            let replaced;
            (replaced, from) = replace_all(value, start, &value[start..end], &replacement);
            if replaced.len() > MAX_VALUE {
                return Err(Error::limit(format!(
                    "option '{name}' grows beyond {MAX_VALUE} bytes when its tags are replaced"
                )));
            }
            from = from.min(replaced.len());
            changed = Some(replaced);
        }
    }

    /// The place of a tag among those met, which it is added to when it is new. A tag of the option's own name is an error.
    fn place(&mut self, tag: &str, name: &str) -> Result<usize, Error> {
        let last = tag.as_bytes().last();
        let known =
            |(own, _): &(Box<str>, Meaning)| own.len() == tag.len() && own.as_bytes().last() == last && **own == *tag;
        if tag == name {
            return Err(refers_back(name, tag));
        }
        if let Some(place) = self.met.iter().position(known) {
            return Ok(place);
        }
        let meaning = match self.options.position(tag) {
            _ if is_among(self.ignore, tag) => Meaning::Itself,
            Some(at) if *self.options.at(at) != Value::None => Meaning::Option(at),
            _ => (self.fallback)(tag)?.map_or(Meaning::Itself, Meaning::Text),
        };
        self.met.push((tag.into(), meaning));
        Ok(self.met.len() - 1)
    }
}

fn refers_back(name: &str, tag: &str) -> Error {
    Error::Definition { subject: format!("option '{name}'"), message: format!("the tag <{tag}> refers back to itself") }
}

/// Replaces every `whole`, and says where the search goes on: at the same character position as `start` had before. That
/// is the same byte unless the tag also stood further to the front, put together by an earlier replacement.
fn replace_all(value: &str, start: usize, whole: &str, replacement: &str) -> (String, usize) {
    let mut out = String::with_capacity(value.len() + replacement.len());
    let mut copied = 0;
    let mut search = 0;
    while let Some(found) = value[search..].find('<') {
        let at = search + found;
        if value[at..].starts_with(whole) {
            out.push_str(&value[copied..at]);
            out.push_str(replacement);
            copied = at + whole.len();
            search = copied;
        } else {
            search = at + 1;
        }
    }
    out.push_str(&value[copied..]);
    if out.is_char_boundary(start) && out.as_bytes()[..start] == value.as_bytes()[..start] {
        return (out, start);
    }
    let position = value[..start].chars().count();
    let mut places = out.char_indices().map(|(at, _)| at);
    let from = places.nth(position).unwrap_or(out.len());
    (out, from)
}

/// The first `<tag>` at or behind `from`: its start and its end. A tag holds no blank and no angle bracket.
fn find_tag(value: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = value.as_bytes();
    let mut from = from;
    loop {
        let start = from + memchr::memchr(b'<', &bytes[from..])?;
        let inner = bytes[start + 1..].iter();
        let length = inner.take_while(|byte| !matches!(byte, b'<' | b'>' | b' ')).count();
        let stop = start + 1 + length;
        if length > 0 && bytes.get(stop) == Some(&b'>') {
            return Some((start, stop + 1));
        }
        from = stop;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(options: &[(&str, &str)], ignore: &[&str]) -> Result<Vec<String>, Error> {
        let mut map = Ordered::new();
        for (key, value) in options {
            map.insert(*key, Value::from(*value));
        }
        let ignore: Vec<String> = ignore.iter().map(|name| (*name).to_owned()).collect();
        let result = substitute(map, &ignore, &mut |tag| Ok((tag == "extra").then(|| "EXTRA".into())))?;
        Ok(result.iter().map(|(_, value)| value.to_text().into()).collect())
    }

    #[test]
    fn tags_are_replaced_recursively_and_unknown_ones_stay() {
        assert_eq!(
            run(&[("a", "3"), ("b", "<a>_<c>_<ip>"), ("c", "x<b2>"), ("b2", "<extra>")], &[]).unwrap(),
            ["3", "3_xEXTRA_<ip>", "xEXTRA", "EXTRA"]
        );
        assert_eq!(
            run(&[("n", "1"), ("v1", "one"), ("w", "<v<n>>"), ("i", "<n>")], &["i"]).unwrap(),
            ["1", "one", "one", "<n>"]
        );
    }

    #[test]
    fn circles_are_errors() {
        assert!(run(&[("a", "<a>")], &[]).is_err());
        assert!(run(&[("a", "<b>"), ("b", "<a>")], &[]).is_err());
    }
}
