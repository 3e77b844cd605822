//! A list as CSV: what a handler answers, or streams, as JSON is turned into rows as it goes by, one item in memory at a time. Every list has
//! its columns in the table of routes; what else an answer holds beside the list is left out.

use serde_json::Value;

/// The longest item, in bytes: a longer one has no place in a list.
const LONGEST: usize = 1024 * 1024;

/// Which list of an answer is wanted, and what of each item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// The name of the list, and of the file that a browser makes of it.
    pub list: &'static str,
    /// The fields of an item, in their order; `actor.name` is a field within one. None: an item is a text.
    pub fields: &'static [&'static str],
}

/// Where in the JSON the bytes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the list.
    Before,
    /// Within it.
    List,
    /// Behind it.
    Behind,
}

/// Turns JSON into CSV, part by part.
#[derive(Debug)]
pub struct Csv {
    columns: Columns,
    at: At,
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    /// A name or a text that has been read before the list, or the item that is being read.
    held: Vec<u8>,
    is_begun: bool,
}

impl Csv {
    /// Nothing has gone by yet.
    pub fn new(columns: Columns) -> Csv {
        Csv { columns, at: At::Before, depth: 0, in_text: false, is_escaped: false, held: Vec::new(), is_begun: false }
    }

    /// The rows of what goes by now.
    pub fn take(&mut self, json: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.is_begun, true) {
            let names = if self.columns.fields.is_empty() { &[self.columns.list] } else { self.columns.fields };
            push_row(&mut out, names.iter().map(|name| (*name).to_owned()));
        }
        for byte in json {
            self.step(*byte, &mut out);
        }
        out
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.at {
            At::Before => self.look_for_list(byte),
            At::List => self.read_item(byte, out),
            At::Behind => {}
        }
    }

    /// Follows texts and brackets. True where the byte is neither within a text nor ends one.
    fn follow(&mut self, byte: u8) -> bool {
        if self.in_text {
            self.in_text = self.is_escaped || byte != b'"';
            self.is_escaped = !self.is_escaped && byte == b'\\';
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        true
    }

    fn look_for_list(&mut self, byte: u8) {
        let was_text = self.in_text;
        let is_plain = self.follow(byte);
        if was_text && self.in_text && self.depth == 1 && self.held.len() < 64 {
            self.held.push(byte);
        } else if is_plain && byte == b'[' && self.depth == 2 && self.held == self.columns.list.as_bytes() {
            self.held.clear();
            self.at = At::List;
        } else if is_plain && matches!(byte, b'"' | b',') {
            self.held.clear();
        }
    }

    fn read_item(&mut self, byte: u8, out: &mut Vec<u8>) {
        let is_plain = self.follow(byte);
        let is_end = is_plain && byte == b']' && self.depth == 1;
        if is_end || (is_plain && byte == b',' && self.depth == 2) {
            self.push_item(out);
        } else if self.held.len() < LONGEST {
            self.held.push(byte);
        }
        if is_end {
            self.at = At::Behind;
        }
    }

    fn push_item(&mut self, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.held);
        let Ok(item) = serde_json::from_slice::<Value>(&text) else { return };
        let field = |path: &&str| path.split('.').fold(&item, |value, name| &value[name]);
        match self.columns.fields {
            [] => push_row(out, [cell(&item)].into_iter()),
            fields => push_row(out, fields.iter().map(|path| cell(field(path)))),
        }
    }
}

/// What a cell says. A text that a spreadsheet would take for a formula has an apostrophe before it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let texts: Vec<String> =
                list.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect();
            cell(&Value::String(texts.join("; ")))
        }
        other => other.to_string(),
    }
}

fn push_row(out: &mut Vec<u8>, cells: impl Iterator<Item = String>) {
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            out.extend_from_slice(format!("\"{}\"", cell.replace('"', "\"\"")).as_bytes());
        } else {
            out.extend_from_slice(cell.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = Columns { list: "items", fields: &["ip", "note", "actor.name", "lines", "n"] };

    fn whole(columns: Columns, json: &str, step: usize) -> String {
        let mut csv = Csv::new(columns);
        let parts = json.as_bytes().chunks(step).flat_map(|part| csv.take(part)).collect();
        String::from_utf8(parts).unwrap()
    }

    #[test]
    fn a_list_is_the_same_however_it_is_cut() {
        let json = r#"{"total":2,"items2":[1],"x":{"items":[{"ip":"no"}]},"s":"items","items":[
            {"ip":"203.0.113.1","note":"a, \"b\"\nc","actor":{"name":"admin"},"lines":["x]","y}"],"n":-1,"more":[{"items":[]}]},
            {"ip":"-1","note":null,"actor":null,"lines":[],"n":2.5}],"pagination":{"items":[{"ip":"no"}]}}"#;
        let expected =
            "ip,note,actor.name,lines,n\r\n203.0.113.1,\"a, \"\"b\"\"\nc\",admin,x]; y},-1\r\n'-1,,,,2.5\r\n";
        for step in [1, 2, 7, 64, 10_000] {
            assert_eq!(whole(COLUMNS, json, step), expected, "{step}");
        }
        assert_eq!(whole(COLUMNS, r#"{"items":[]}"#, 3), "ip,note,actor.name,lines,n\r\n", "an empty list has a head");
        assert_eq!(
            whole(Columns { list: "lines", fields: &[] }, r#"{"lines":["a","=b"]}"#, 3),
            "lines\r\na\r\n'=b\r\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert!(cell(&Value::from(text)).starts_with('\''), "{text:?}");
            assert!(cell(&serde_json::json!([text, "x"])).starts_with('\''), "{text:?}");
        }
        assert_eq!(cell(&Value::from("a=1")), "a=1");
        assert_eq!(cell(&Value::from(-1)), "-1", "a number is no text");
    }
}
