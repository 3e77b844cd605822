//! The page beside the API: which of its files a path names, and how that is answered.
//!
//! It knows neither sessions nor limits: what is inside is the same for everybody, and the page asks the API for all that is not.

use std::sync::OnceLock;

use tiny_http::Method;

use crate::packed::{self, PAGE, PageFile};
use crate::server::accepts::Accepts;
use crate::server::request::Head;
use crate::server::response::Response;

/// What a path leads to, other than to the API.
#[derive(Debug, Clone, Copy)]
pub enum Page {
    /// A file, by its place in `PAGE`.
    File(usize),
    /// The base path without its slash, from which the page would not find its files.
    Slash,
}

/// The header lines of one file in its three forms, and the file unpacked.
struct Ready {
    packed: &'static str,
    plain: &'static str,
    unchanged: &'static str,
    bytes: OnceLock<Vec<u8>>,
}

/// Finds what a path names: `own` is it without the base path, `full` as it was sent.
pub fn find(method: &Method, base: &str, full: &str, own: &str) -> Option<Page> {
    if !matches!(method, Method::Get | Method::Head) {
        return None;
    }
    if !base.is_empty() && full == base {
        return Some(Page::Slash);
    }
    let name = match own.strip_prefix('/')? {
        "" => "index.html",
        "index.html" => return None,
        name => name,
    };
    PAGE.iter().position(|file| file.name == name).map(Page::File)
}

impl Page {
    /// The answer. `ancestors` are the words of the policy that say who may show the page inside a page of theirs.
    pub fn answer(self, head: &Head, base: &str, ancestors: &str) -> Response {
        let Page::File(number) = self else {
            return Response::json_bytes(308, b"".as_slice()).with("location", format!("{base}/"));
        };
        let file = &PAGE[number];
        let ready = &ready(ancestors)[number];
        let accepts = Accepts::of(head);
        if accepts.has(file.tag) {
            return Response::page(304, ready.unchanged, b"");
        }
        if accepts.gzip {
            return Response::page(200, ready.packed, file.packed);
        }
        Response::page(200, ready.plain, ready.bytes.get_or_init(|| packed::unpack(file.packed)))
    }
}

/// What is said with each file, made once: the policy is the same as long as the program runs.
fn ready(ancestors: &str) -> &'static [Ready] {
    static READY: OnceLock<Vec<Ready>> = OnceLock::new();
    READY.get_or_init(|| PAGE.iter().map(|file| lines(file, ancestors)).collect())
}

fn lines(file: &PageFile, ancestors: &str) -> Ready {
    let caching = match file.name {
        "index.html" => "no-cache",
        _ => "public, max-age=31536000, immutable",
    };
    let frames = if ancestors == "'none'" { "x-frame-options: DENY\r\n" } else { "" };
    let common = format!(
        "content-security-policy: default-src 'self'; require-trusted-types-for 'script'; frame-ancestors {ancestors}; \
         base-uri 'none'; form-action 'self'\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n{frames}\
         cache-control: {caching}\r\netag: {}\r\nvary: accept-encoding\r\n",
        file.tag
    );
    let kind = format!("content-type: {}\r\n", file.kind);
    let kept = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    Ready {
        packed: kept(format!("{common}{kind}content-encoding: gzip\r\n")),
        plain: kept(format!("{common}{kind}")),
        unchanged: kept(common),
        bytes: OnceLock::new(),
    }
}
