//! What an answer gets on its way out: the tag of its state, the headers of caches, packing. An answer that the client has already becomes
//! a 304, and nothing else has changed then: it was admitted and counted like any other.

use std::borrow::Cow;

use memchr::memmem;
use tiny_http::StatusCode;

use crate::app::Ctx;
use crate::app::csv::Csv;
use crate::app::gzip::WORTH;
use crate::app::request::{Admitted, Route};
use crate::server::response::Response;

/// What an answer of a route depends on, beside its path.
const VARY: &str = "Cookie, Authorization, Accept-Encoding, Origin";

/// The tag of a number.
pub fn tag(number: u64) -> String {
    format!("W/\"{number:016x}\"")
}

/// Dresses the answer of a route.
pub fn dress(ctx: &mut Ctx, admitted: &Admitted, route: &Route, response: &mut Response) {
    let csv = admitted.csv().filter(|_| response.status.0 == 200);
    if let Some(columns) = csv {
        if !response.body.is_empty() {
            response.body = Cow::Owned(Csv::new(columns).take(&response.body));
        }
        response.headers.push(("content-type", "text/csv; charset=utf-8".to_owned()));
        response.headers.push(("content-disposition", format!("attachment; filename=\"{}.csv\"", name_of(route))));
    }
    let is_kept = csv.is_none() && route.is_polled() && matches!(response.status.0, 200 | 304);
    if is_kept {
        label(ctx, admitted, response);
    }
    if let (Some(kind), 200) = (route.text, response.status.0) {
        response.headers.push(("content-type", kind.to_owned()));
    }
    response.headers.push(("cache-control", if is_kept { "private, no-cache" } else { "no-store" }.to_owned()));
    let is_packable = !route.tells_secrets() && WORTH.contains(&response.body.len());
    let is_plain = !response.headers.iter().any(|(name, _)| ["content-encoding", "set-cookie"].contains(name));
    if is_packable
        && is_plain
        && admitted.accepts.gzip
        && let Some(packed) = ctx.gzip.pack(&response.body)
    {
        response.body = Cow::Owned(packed);
        response.headers.push(("content-encoding", "gzip".to_owned()));
    }
    if route.is_polled() || is_packable {
        response.headers.retain(|(name, _)| *name != "vary");
        response.headers.push(("vary", VARY.to_owned()));
    }
}

/// The name of a file with the list of a route: `bans-active`.
fn name_of(route: &Route) -> String {
    let parts = route.path.trim_start_matches("/api/v1/").split('/').filter(|part| !part.starts_with('{'));
    parts.collect::<Vec<_>>().join("-")
}

/// Gives an answer its tag, and takes its body where the client has that state. A body that is streamed has a tag where counters gave it
/// one, and none else.
fn label(ctx: &Ctx, admitted: &Admitted, response: &mut Response) {
    let of_body = || (!response.body.is_empty()).then(|| number(ctx, admitted, &response.body));
    let Some(number) = admitted.state.or_else(of_body) else { return };
    let tag = tag(number);
    if admitted.accepts.has(&tag) {
        response.status = StatusCode(304);
        response.body = Cow::Borrowed(&[]);
    }
    response.headers.push(("etag", tag));
}

/// A number of what an answer says, and to whom. When the server has looked (`as_of`) and what time it has (`time`) is none of its state.
fn number(ctx: &Ctx, admitted: &Admitted, body: &[u8]) -> u64 {
    let mut said: Vec<u64> = vec![admitted.seed];
    let mut rest = body;
    while let Some((before, behind)) = next_time(rest) {
        said.push(ctx.number(&before));
        rest = behind;
    }
    said.push(ctx.number(&rest));
    ctx.number(&said)
}

/// What stands before the next time that does not count, and behind it.
fn next_time(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let place = |name: &[u8]| memmem::find(body, name).map(|at| (at, at + name.len()));
    let first = [place(b"\"as_of\":\""), place(b"\"time\":\"20")].into_iter().flatten().min()?;
    let end = memchr::memchr(b'"', &body[first.1..])?;
    Some((&body[..first.0], &body[first.1 + end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_something_was_looked_at_is_no_part_of_what_was_seen() {
        let left = |body: &str| {
            let (mut rest, mut kept) = (body.as_bytes(), Vec::new());
            while let Some((before, behind)) = next_time(rest) {
                kept.extend_from_slice(before);
                rest = behind;
            }
            kept.extend_from_slice(rest);
            String::from_utf8(kept).unwrap()
        };
        assert_eq!(left(r#"{"as_of":"2026-11-26T09:00:00Z","total":1}"#), r#"{","total":1}"#);
        assert_eq!(left(r#"{"time":"2026-11-26T09:00:00Z","x":{"as_of":"2026-"}}"#), r#"{","x":{"}}"#);
        let text = r#"{"matches":["\"as_of\":\"x\""],"time":"soon","ban_time":1}"#;
        assert_eq!(left(text), text);
    }
}
