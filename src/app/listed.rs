//! Lists that fit into memory, in the one shape of all lists: searched by `q`, sorted by `sort`, cut into pages where pages are asked for,
//! and with the block that says which part of the list this is. Lists that may be long are made by whoever has them.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::error::ApiError;
use super::input::Query;
use super::request::Request;
use crate::domain::page::{Page, Pagination};

/// What these lists take behind the `?`.
pub const PARAMETERS: &[&str] = &["page", "page_size", "sort", "q"];
/// The longest text that is searched for, in bytes.
const LONGEST_SEARCH: usize = 256;

/// What a client wants of a list.
#[derive(Debug)]
pub struct Listed {
    /// `None` is all of it.
    page: Option<Page>,
    search: String,
    /// The field, and whether the largest comes first.
    sort: Option<(&'static str, bool)>,
}

impl Listed {
    /// Reads it; `fields` are those of an item that the list can be sorted by. Items that are texts have none.
    pub fn read(query: Query<'_>, fields: &[&'static str]) -> Result<Listed, ApiError> {
        let is_paged = query.text("page")?.is_some() || query.text("page_size")?.is_some();
        let page = if is_paged { Some(query.page()?) } else { None };
        let search = query.text("q")?.unwrap_or_default().to_lowercase();
        if search.len() > LONGEST_SEARCH {
            return Err(ApiError::invalid_field("q", format!("q is at most {LONGEST_SEARCH} bytes long.")));
        }
        let sort = match query.text("sort")?.filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let (name, falls) = text.strip_prefix('-').map_or((text.as_str(), false), |name| (name, true));
                let known = fields.iter().find(|field| **field == name);
                let expected = "a field to sort by, with a minus before it where the largest is to come first,";
                let unknown = || {
                    let detail = format!("sort: {expected} is expected; there are {}.", fields.join(", "));
                    ApiError::invalid_field("sort", detail).with("allowed", fields)
                };
                Some((*known.ok_or_else(unknown)?, falls))
            }
        };
        Ok(Listed { page, search, sort })
    }

    /// The same of a list that is given in pages unless all of it is wanted, as CSV.
    pub fn in_pages(mut self, request: &Request) -> Result<Listed, ApiError> {
        self.page = if request.wants_all() { None } else { Some(request.query().page()?) };
        Ok(self)
    }

    /// Whether it is wanted as it is.
    pub fn is_plain(&self) -> bool {
        self.search.is_empty() && self.sort.is_none()
    }

    /// What it is sorted by.
    pub fn field(&self) -> Option<&'static str> {
        self.sort.map(|(field, _)| field)
    }

    /// Whether the largest comes first; the newest does where nothing else is said.
    pub fn falls(&self) -> bool {
        self.sort.is_none_or(|(_, falls)| falls)
    }

    /// Whether the search finds an item.
    pub fn has(&self, item: &Value) -> bool {
        self.search.is_empty() || has(item, &self.search)
    }

    /// Gives an answer with `items` this shape; a `total` that it has is that of what was found.
    pub fn shape(&self, body: &mut Value) {
        let Some(Value::Array(items)) = body.get_mut("items").map(Value::take) else { return };
        let mut items: Vec<Value> = items.into_iter().filter(|item| self.has(item)).collect();
        if let Some((field, falls)) = self.sort {
            items.sort_by(|a, b| if falls { order(&b[field], &a[field]) } else { order(&a[field], &b[field]) });
        }
        let total = items.len() as u64;
        if let Some(page) = self.page {
            let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
            items = items.into_iter().skip(skip).take(page.size() as usize).collect();
        }
        let pagination = self.page.map_or_else(|| Pagination::whole(total), |page| page.describe(total));
        body["pagination"] = json!(pagination);
        body["items"] = Value::Array(items);
        if body.get("total").is_some() {
            body["total"] = total.into();
        }
    }
}

/// Whether a text stands anywhere in an item: in a text or a number of it, or of what is in it.
fn has(item: &Value, search: &str) -> bool {
    match item {
        Value::String(text) => text.to_lowercase().contains(search),
        Value::Array(list) => list.iter().any(|one| has(one, search)),
        Value::Object(map) => map.values().any(|one| has(one, search)),
        Value::Number(number) => number.to_string().contains(search),
        _ => false,
    }
}

/// Nothing before no before yes before numbers before texts, whose case does not matter.
fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        _ => 3,
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        (Value::String(_), Value::String(_)) => text(a).cmp(&text(b)),
        _ => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(query: &str, mut body: Value) -> Value {
        Listed::read(Query(query), &["name", "n"]).unwrap().shape(&mut body);
        body
    }

    #[test]
    fn a_list_is_searched_sorted_and_cut() {
        let all =
            || json!({"items": [{"name": "b", "n": 10}, {"name": "A", "n": null}, {"name": "c", "n": 9}], "total": 3});
        let names = |query: &str| -> String {
            let body = shaped(query, all());
            body["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
        };
        assert_eq!(
            ["", "sort=name", "sort=-name", "sort=n", "sort=-n", "q=B", "q=9"].map(names),
            ["bAc", "Abc", "cbA", "Acb", "bcA", "b", "c"]
        );
        assert_eq!(names("sort=n&page_size=2&page=2"), "b");
        let whole = shaped("", all())["pagination"].clone();
        assert_eq!(
            (&whole["page_size"], &whole["total_pages"], &whole["has_next_page"]),
            (&json!(3), &json!(1), &json!(false))
        );
        let page = shaped("page_size=2&q=b", all());
        assert_eq!(
            (&page["total"], &page["pagination"]["total"], &page["pagination"]["page_size"]),
            (&json!(1), &json!(1), &json!(2))
        );
        let error = Listed::read(Query("sort=x"), &["name", "n"]).unwrap_err();
        assert!(error.detail.contains("there are name, n"), "{}", error.detail);
        assert_eq!(shaped("q=x", json!({"items": ["ax", "b"]}))["items"], json!(["ax"]));
    }
}
