//! Replacement of `<tag>` in the options of a filter or an action by other options.
//!
//! Tags that name no option stay as they are: they are filled in at ban time or belong to the pattern.

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
/// Tags named in `ignore` are left alone everywhere. What `fallback` said once is in `found` and holds for the next time as well.
pub fn substitute(
    options: Ordered<Value>,
    ignore: &[&str],
    found: &mut Found,
    fallback: &mut Fallback,
) -> Result<Ordered<Value>, Error> {
    let mut done: Vec<bool> = options.keys().map(|name| is_among(ignore, name)).collect();
    let mut counts: Vec<Counts> = Vec::new();
    found.begin();
    let mut substitution = Substitution { options, ignore, found, fallback, out: String::new() };
    loop {
        let mut again = false;
        for at in 0..done.len() {
            if done[at] {
                continue;
            }
            let name = substitution.options.key(at).clone();
            let before = text_of(substitution.options.at(at));
            if memchr::memchr(b'<', before.as_bytes()).is_none() {
                done[at] = true;
                continue;
            }
            if substitution.at_once(&name, &before)? {
                if substitution.out != *before {
                    *substitution.options.at_mut(at) = Value::text(substitution.out.as_str());
                }
                done[at] = true;
                continue;
            }
            counts.resize(done.len(), Counts::new());
            let value = match substitution.pass(&name, &before, &mut counts[at])? {
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
fn is_among(list: &[&str], name: &str) -> bool {
    list.contains(&name)
}

/// How often each tag was replaced in one value; tags by their place in [`Found`].
type Counts = Vec<(usize, usize)>;

/// What a tag stands for. That never changes, so it is looked up once, however often the tag occurs.
#[derive(Clone, Debug, Default)]
enum Meaning {
    /// It has to be looked up among the options of this time.
    #[default]
    Unknown,
    /// It stays as it is.
    Itself,
    /// The option at this place, with the value it has by then.
    Option(usize),
    /// What is known of it from elsewhere, if anything is.
    Elsewhere,
}

/// A tag that was met.
#[derive(Debug, Default)]
struct Tag {
    meaning: Meaning,
    /// What is known of it from elsewhere, once that was asked for.
    elsewhere: Option<Option<Rc<str>>>,
    /// The value in which it was last replaced, by number, and how often there.
    value: usize,
    times: usize,
}

/// The tags that were met, and what they stand for beyond the options.
#[derive(Debug, Default)]
pub struct Found {
    tags: Ordered<Tag>,
    /// The number of the value that is being made.
    value: usize,
}

impl Found {
    /// The options are others than before.
    fn begin(&mut self) {
        for place in 0..self.tags.len() {
            self.tags.at_mut(place).meaning = Meaning::Unknown;
        }
    }

    /// The place of a tag, which is added when it is new.
    fn place(&mut self, name: &str) -> usize {
        self.tags.position(name).unwrap_or_else(|| {
            self.tags.insert(name, Tag::default());
            self.tags.len() - 1
        })
    }

    /// How often the tag was replaced in the value that is being made, this time included.
    fn count(&mut self, place: usize) -> usize {
        let tag = self.tags.at_mut(place);
        if tag.value != self.value {
            tag.value = self.value;
            tag.times = 0;
        }
        tag.times += 1;
        tag.times
    }
}

/// The options while their tags are replaced.
struct Substitution<'a, 'f> {
    options: Ordered<Value>,
    ignore: &'a [&'a str],
    found: &'a mut Found,
    fallback: &'a mut Fallback<'f>,
    /// The value that is being made.
    out: String,
}

impl Substitution<'_, '_> {
    /// Makes the value of the option `name` with everything replaced, where that can be said without going through its
    /// replacements one by one: no tag begins in one text and ends in another, and none comes back too often.
    fn at_once(&mut self, name: &str, before: &str) -> Result<bool, Error> {
        self.found.value += 1;
        self.out.clear();
        let mut is_nested = false;
        if !self.append(name, before, 0, &mut is_nested)? {
            return Ok(false);
        }
        // A tag with others in its name is there when those are replaced.
        while std::mem::take(&mut is_nested) {
            let value = std::mem::take(&mut self.out);
            if !self.append(name, &value, 0, &mut is_nested)? {
                return Ok(false);
            }
            if self.out == value {
                break;
            }
        }
        Ok(true)
    }

    /// Appends `text` with its tags replaced; false where it has to be done step by step. `is_nested` becomes true where a tag was met
    /// behind the beginning of another one.
    fn append(&mut self, name: &str, text: &str, depth: usize, is_nested: &mut bool) -> Result<bool, Error> {
        let bytes = text.as_bytes();
        let mut copied = 0;
        let mut at = 0;
        while let Some(open) = memchr::memchr(b'<', &bytes[at..]) {
            let open = at + open;
            let end = tag_end(bytes, open + 1);
            at = end;
            match bytes.get(end) {
                // What follows in the text around it may make a tag of it.
                None if depth > 0 => return Ok(false),
                Some(b'>') if end > open + 1 => at += 1,
                other => {
                    *is_nested |= other == Some(&b'<');
                    continue;
                }
            }
            let place = self.place(&text[open + 1..end], name)?;
            let Some(replacement) = self.replacement(place) else { continue };
            self.out.push_str(&text[copied..open]);
            copied = at;
            if depth == MAX_REPEATS || self.found.count(place) > MAX_REPEATS || self.out.len() > MAX_VALUE {
                return Ok(false);
            }
            if !self.append(name, &replacement, depth + 1, is_nested)? {
                return Ok(false);
            }
        }
        self.out.push_str(&text[copied..]);
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
            let Some(replacement) = self.replacement(place) else {
                from = end;
                continue;
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

    /// The place of a tag, whose meaning is known then. A tag of the option's own name is an error.
    fn place(&mut self, tag: &str, name: &str) -> Result<usize, Error> {
        if tag == name {
            return Err(refers_back(name, tag));
        }
        let place = self.found.place(tag);
        if matches!(self.found.tags.at(place).meaning, Meaning::Unknown) {
            let meaning = match self.options.position(tag) {
                _ if is_among(self.ignore, tag) => Meaning::Itself,
                Some(at) if *self.options.at(at) != Value::None => Meaning::Option(at),
                _ => {
                    self.ask_elsewhere(place, tag)?;
                    Meaning::Elsewhere
                }
            };
            self.found.tags.at_mut(place).meaning = meaning;
        }
        Ok(place)
    }

    fn ask_elsewhere(&mut self, place: usize, tag: &str) -> Result<(), Error> {
        if self.found.tags.at(place).elsewhere.is_none() {
            let text = (self.fallback)(tag)?;
            self.found.tags.at_mut(place).elsewhere = Some(text);
        }
        Ok(())
    }

    /// The text that takes the place of a tag; `None` where it stays as it is.
    fn replacement(&self, place: usize) -> Option<Rc<str>> {
        let tag = self.found.tags.at(place);
        match tag.meaning {
            Meaning::Unknown | Meaning::Itself => None,
            Meaning::Elsewhere => tag.elsewhere.clone().flatten(),
            Meaning::Option(at) => Some(text_of(self.options.at(at))),
        }
    }
}

fn text_of(value: &Value) -> Rc<str> {
    match value {
        Value::Str(text) => text.clone(),
        value => value.to_text().as_ref().into(),
    }
}

fn refers_back(name: &str, tag: &str) -> Error {
    Error::Definition {
        jail: None,
        subject: format!("option '{name}'"),
        message: format!("the tag <{tag}> refers back to itself"),
    }
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

/// Where the name of a tag ends that begins at `at`: at its bracket, at something that makes it none, or with the text.
fn tag_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && !matches!(bytes[at], b'<' | b'>' | b' ') {
        at += 1;
    }
    at
}

/// The first `<tag>` at or behind `from`: its start and its end. A tag holds no blank and no angle bracket.
fn find_tag(value: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = value.as_bytes();
    let mut from = from;
    loop {
        let start = from + memchr::memchr(b'<', &bytes[from..])?;
        let stop = tag_end(bytes, start + 1);
        if stop > start + 1 && bytes.get(stop) == Some(&b'>') {
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
        let extra = &mut |tag: &str| Ok((tag == "extra").then(|| "EXTRA".into()));
        let result = substitute(map, ignore, &mut Found::default(), extra)?;
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
