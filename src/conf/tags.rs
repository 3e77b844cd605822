//! Replacement of `<tag>` in the options of a filter or an action by other options.
//!
//! Tags that name no option stay as they are: they are filled in at ban time or belong to the pattern.

use std::collections::{HashMap, HashSet};
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
    ignore: &HashSet<String>,
    fallback: &mut Fallback,
) -> Result<Ordered<Value>, Error> {
    let mut options = options.clone();
    let names: Vec<Rc<str>> = options.keys().cloned().collect();
    let mut done: HashSet<Rc<str>> = HashSet::new();
    let mut counts: HashMap<Rc<str>, Counts> = HashMap::new();
    loop {
        let mut again = false;
        for name in &names {
            if ignore.contains(&**name) || done.contains(name) {
                continue;
            }
            let before: Rc<str> = match options.get(name) {
                Some(Value::Str(text)) => text.clone(),
                Some(value) => value.to_text().as_ref().into(),
                None => continue,
            };
            let mut count = counts.remove(name).unwrap_or_default();
            let pass = Pass {
                options: &options,
                ignore,
                name,
            };
            let value = match pass.replace(&before, &mut count, fallback)? {
                Some(value) if *value != *before => value,
                // What tags stand for never changes, so a value that stayed as it is will stay so for good.
                _ => {
                    done.insert(name.clone());
                    continue;
                }
            };
            if find_tag(&value, 0).is_some() {
                counts.insert(name.clone(), count);
                again = true;
            }
            if !value.contains('<') {
                done.insert(name.clone());
            }
            options.insert(name.clone(), Value::text(value));
        }
        if !again {
            return Ok(options);
        }
    }
}

/// How often each tag was replaced in one value.
type Counts = Vec<(String, usize)>;

/// One pass over the value of one option.
struct Pass<'a> {
    options: &'a Ordered<Value>,
    ignore: &'a HashSet<String>,
    name: &'a str,
}

impl Pass<'_> {
    /// The value after one pass from its start to its end; `None` when nothing was replaced.
    fn replace(
        &self,
        before: &str,
        counts: &mut Counts,
        fallback: &mut Fallback,
    ) -> Result<Option<String>, Error> {
        let mut changed: Option<String> = None;
        let mut from = 0;
        loop {
            let value = changed.as_deref().unwrap_or(before);
            let Some((start, end)) = find_tag(value, from) else {
                return Ok(changed);
            };
            let tag = &value[start + 1..end - 1];
            if self.ignore.contains(tag) {
                from = end;
                continue;
            }
            let count = counts.iter_mut().find(|(known, _)| known == tag);
            if tag == self.name
                || count
                    .as_ref()
                    .is_some_and(|(_, times)| *times > MAX_REPEATS)
            {
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
            from = start_after_replacing(value, start, whole, &replacement);
            let replaced = value.replace(whole, &replacement);
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

/// Where the search goes on after all `whole` were replaced: at the same character position as before. That is the
/// same byte unless the tag also stood further to the front, put together by an earlier replacement.
fn start_after_replacing(value: &str, start: usize, whole: &str, replacement: &str) -> usize {
    if !value[..start].contains(whole) {
        return start;
    }
    let position = value[..start].chars().count();
    let replaced = value.replace(whole, replacement);
    let mut places = replaced.char_indices().map(|(at, _)| at);
    places.nth(position).unwrap_or(replaced.len())
}

/// The first `<tag>` at or behind `from`: its start and its end. A tag holds no blank and no angle bracket.
fn find_tag(value: &str, from: usize) -> Option<(usize, usize)> {
    let mut from = from;
    loop {
        let start = from + value[from..].find('<')?;
        let stop = start + 1 + value[start + 1..].find(['<', '>', ' '])?;
        if value.as_bytes()[stop] == b'>' && stop > start + 1 {
            return Some((start, stop + 1));
        }
        from = start + 1;
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
        let ignore = ignore.iter().map(|name| (*name).to_owned()).collect();
        let result = substitute(&map, &ignore, &mut |tag| {
            Ok((tag == "extra").then(|| "EXTRA".into()))
        })?;
        Ok(result
            .iter()
            .map(|(_, value)| value.to_text().into())
            .collect())
    }

    #[test]
    fn tags_are_replaced_recursively_and_unknown_ones_stay() {
        assert_eq!(
            run(
                &[
                    ("a", "3"),
                    ("b", "<a>_<c>_<ip>"),
                    ("c", "x<b2>"),
                    ("b2", "<extra>")
                ],
                &[]
            )
            .unwrap(),
            ["3", "3_xEXTRA_<ip>", "xEXTRA", "EXTRA"]
        );
        assert_eq!(
            run(
                &[("n", "1"), ("v1", "one"), ("w", "<v<n>>"), ("i", "<n>")],
                &["i"]
            )
            .unwrap(),
            ["1", "one", "one", "<n>"]
        );
    }

    #[test]
    fn circles_are_errors() {
        assert!(run(&[("a", "<a>")], &[]).is_err());
        assert!(run(&[("a", "<b>"), ("b", "<a>")], &[]).is_err());
    }
}
