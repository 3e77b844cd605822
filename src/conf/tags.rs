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
/// Tags named in `ignore` are left alone everywhere.
pub fn substitute(
    options: &Ordered<Value>,
    ignore: &[String],
    fallback: &mut Fallback,
) -> Result<Ordered<Value>, Error> {
    let mut options = options.clone();
    let names: Vec<Rc<str>> = options.keys().cloned().collect();
    let mut done: Vec<bool> = names.iter().map(|name| is_among(ignore, name)).collect();
    let mut counts: Vec<Counts> = vec![Counts::new(); names.len()];
    loop {
        let mut again = false;
        for (at, name) in names.iter().enumerate() {
            if done[at] {
                continue;
            }
            let before: Rc<str> = match options.get(name) {
                Some(Value::Str(text)) => text.clone(),
                Some(value) => value.to_text().as_ref().into(),
                None => continue,
            };
            let pass = Pass { options: &options, ignore, name };
            let value = match pass.replace(&before, &mut counts[at], fallback)? {
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
            options.insert(name.clone(), Value::text(value));
        }
        if !again {
            return Ok(options);
        }
    }
}

/// The list is short, so hashing it would cost more than it saves.
fn is_among(list: &[String], name: &str) -> bool {
    list.iter().any(|own| own == name)
}

/// How often each tag was replaced in one value.
type Counts = Vec<(String, usize)>;

/// One pass over the value of one option.
struct Pass<'a> {
    options: &'a Ordered<Value>,
    ignore: &'a [String],
    name: &'a str,
}

impl Pass<'_> {
    /// The value after one pass from its start to its end; `None` when nothing was replaced.
    fn replace(&self, before: &str, counts: &mut Counts, fallback: &mut Fallback) -> Result<Option<String>, Error> {
        let mut changed: Option<String> = None;
        let mut from = 0;
        loop {
            let value = changed.as_deref().unwrap_or(before);
            let Some((start, end)) = find_tag(value, from) else {
                return Ok(changed);
            };
            let tag = &value[start + 1..end - 1];
            if is_among(self.ignore, tag) {
                from = end;
                continue;
            }
            let count = counts.iter_mut().find(|(known, _)| known == tag);
            if tag == self.name || count.as_ref().is_some_and(|(_, times)| *times > MAX_REPEATS) {
                return Err(Error::Definition {
                    subject: format!("option '{}'", self.name),
                    message: format!("the tag <{tag}> refers back to itself"),
                });
            }
            let Some(replacement) = self.replacement(tag, fallback)? else {
                from = end;
                continue;
            };
            match count {
                Some((_, times)) => *times += 1,
                None => counts.push((tag.to_owned(), 1)),
            }
            let whole = &value[start..end];
            let replaced;
            (replaced, from) = replace_all(value, start, whole, &replacement);
            if replaced.len() > MAX_VALUE {
                return Err(Error::limit(format!(
                    "option '{}' grows beyond {MAX_VALUE} bytes when its tags are replaced",
                    self.name
                )));
            }
            from = from.min(replaced.len());
            changed = Some(replaced);
        }
    }

    fn replacement(&self, tag: &str, fallback: &mut Fallback) -> Result<Option<Rc<str>>, Error> {
        match self.options.get(tag) {
            Some(Value::None) | None => fallback(tag),
            Some(Value::Str(text)) => Ok(Some(text.clone())),
            Some(other) => Ok(Some(other.to_text().as_ref().into())),
        }
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

/// The first `<tag>` at or behind `from`: its start and its end. A tag holds no blank and no angle bracket.
fn find_tag(value: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = value.as_bytes();
    let mut from = from;
    loop {
        let start = from + value[from..].find('<')?;
        let inner = bytes[start + 1..].iter();
        let length = inner.take_while(|byte| !b"<> ".contains(byte)).count();
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
        let result = substitute(&map, &ignore, &mut |tag| Ok((tag == "extra").then(|| "EXTRA".into())))?;
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
