//! An answer, and the printing of its head. Control bytes in a header are refused here, so that no caller can
//! split a response.

use std::borrow::Cow;

use serde_json::Value;
use tiny_http::StatusCode;

/// One answer.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Headers beside those every answer has. Names are ours, values may come from outside.
    pub headers: Vec<(&'static str, String)>,
    /// Whole header lines in place of those that every answer has and of the type of JSON: what a file of the page is sent with.
    pub own_lines: Option<&'static str>,
    /// The body; empty with 204 and 304.
    pub body: Cow<'static, [u8]>,
}

/// The longest warning in a header, in characters.
const MAX_WARNING: usize = 2000;

/// How the body of an answer is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// This many bytes.
    Known(usize),
    /// Chunked: the length is not known yet.
    Chunked,
    /// To the end of the connection: an HTTP/1.0 client and a length not known yet.
    UntilClose,
}

impl Response {
    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::json_bytes(status, value.to_string().into_bytes())
    }

    /// An answer whose JSON is already there.
    pub fn json_bytes(status: u16, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { status: StatusCode(status), headers: Vec::new(), own_lines: None, body: body.into() }
    }

    /// A file of the page, or what is said instead of sending it. `lines` are all its headers but those that the connection adds.
    pub fn page(status: u16, lines: &'static str, body: &'static [u8]) -> Self {
        Self { status: StatusCode(status), headers: Vec::new(), own_lines: Some(lines), body: Cow::Borrowed(body) }
    }

    /// 204.
    pub fn no_content() -> Self {
        Self { status: StatusCode(204), headers: Vec::new(), own_lines: None, body: Cow::Borrowed(&[]) }
    }

    /// 304.
    pub fn not_modified() -> Self {
        Self { status: StatusCode(304), ..Self::no_content() }
    }

    /// The same with one header more.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a sentence about what was done and is not in force yet; an empty one adds nothing. An answer without a body has no
    /// other place for it.
    pub fn warning(self, text: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        let plain = |letter: char| if letter.is_ascii_graphic() { letter } else { ' ' };
        self.with("x-bangui-warning", text.chars().take(MAX_WARNING).map(plain).collect::<String>())
    }

    fn may_have_body(&self) -> bool {
        !matches!(self.status.0, 100..=199 | 204 | 304)
    }

    /// Appends the head to `out`. `fixed` are whole header lines that every answer has, `date` an HTTP date.
    pub fn print_head(&self, out: &mut Vec<u8>, length: Length, keep_alive: bool, fixed: &[u8], date: &str) {
        out.extend_from_slice(b"HTTP/1.1 ");
        push_number(out, u64::from(self.status.0));
        out.push(b' ');
        out.extend_from_slice(self.status.default_reason_phrase().as_bytes());
        out.extend_from_slice(b"\r\ndate: ");
        out.extend_from_slice(date.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.own_lines.map_or(fixed, str::as_bytes));
        for (name, value) in &self.headers {
            // Dropping the header is the only safe reading of a value that would end its own line.
            if value.bytes().all(|byte| byte >= b' ' && byte != 0x7f) {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b": ");
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
        if self.may_have_body() {
            if self.own_lines.is_none() && !self.headers.iter().any(|(name, _)| *name == "content-type") {
                out.extend_from_slice(b"content-type: application/json\r\n");
            }
            match length {
                Length::Known(bytes) => {
                    out.extend_from_slice(b"content-length: ");
                    push_number(out, bytes as u64);
                    out.extend_from_slice(b"\r\n");
                }
                Length::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
                Length::UntilClose => {}
            }
        }
        if !keep_alive {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    use std::io::Write;
    write!(out, "{number}").expect("writing to a Vec cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(response: &Response, length: Length, keep_alive: bool) -> String {
        let mut out = Vec::new();
        response.print_head(&mut out, length, keep_alive, b"x-fixed: 1\r\n", "D");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_says_its_length_once() {
        let text = head(&Response::json(201, &Value::from(1)), Length::Known(1), true);
        assert_eq!(
            text,
            "HTTP/1.1 201 Created\r\ndate: D\r\nx-fixed: 1\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n"
        );
    }

    #[test]
    fn no_content_has_neither_length_nor_type() {
        let text = head(&Response::no_content(), Length::Known(0), false);
        assert!(!text.contains("content-"), "{text}");
        assert!(text.contains("connection: close"));
    }

    #[test]
    fn a_value_with_a_line_end_is_dropped() {
        let text = head(&Response::json(200, &Value::from(1)).with("x-a", "b\r\nset-cookie: c"), Length::Chunked, true);
        assert!(!text.contains("set-cookie"), "{text}");
    }
}
