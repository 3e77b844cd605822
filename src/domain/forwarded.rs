//! What a proxy says of the clients behind it: `X-Forwarded-For`, and `Forwarded` of RFC 7239. Read by bytes, since whoever sends a request
//! chooses them. Whom to believe is decided elsewhere.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// One stage of the way a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// From this address.
    Address(IpAddr),
    /// From somebody, but the text is no address: empty, `unknown`, a name, bytes that are no text.
    Unreadable,
}

/// The stages in the values of `X-Forwarded-For`, the nearest last.
pub fn x_forwarded_for<'v>(values: impl Iterator<Item = &'v [u8]>) -> Vec<Hop> {
    values.flat_map(|value| value.split(|byte| *byte == b',')).map(hop).collect()
}

/// The stages in the values of `Forwarded`, the nearest last. One that does not say `for=` once is unreadable.
///
/// Divided at every comma, also inside quotes: no address has one in it, so that what a proxy appends always follows the last one. A quote
/// that a client opens and does not close must not swallow that; it only spoils elements of the client's own.
pub fn forwarded<'v>(values: impl Iterator<Item = &'v [u8]>) -> Vec<Hop> {
    let elements = values.flat_map(|value| value.split(|byte| *byte == b','));
    elements.map(|element| parameter(element, b"for").map_or(Hop::Unreadable, hop)).collect()
}

/// Whether a request came to the first proxy by HTTPS, as a list in `X-Forwarded-Proto` says.
pub fn proto_is_https(value: &[u8]) -> bool {
    let first = value.split(|byte| *byte == b',').next().unwrap_or_default();
    first.trim_ascii().eq_ignore_ascii_case(b"https")
}

/// The same of a value of `Forwarded`.
pub fn forwarded_is_https(value: &[u8]) -> bool {
    let first = value.split(|byte| *byte == b',').next().unwrap_or_default();
    parameter(first, b"proto").is_some_and(|proto| unquoted(proto).eq_ignore_ascii_case(b"https"))
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`, each also in quotes.
fn hop(text: &[u8]) -> Hop {
    let Ok(text) = std::str::from_utf8(unquoted(text.trim_ascii())) else { return Hop::Unreadable };
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    match text.parse().ok().or_else(bracketed).or_else(with_port) {
        Some(address) => Hop::Address(IpAddr::to_canonical(&address)),
        None => Hop::Unreadable,
    }
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(text)
}

/// The parts between separators that are not inside quotes.
fn outside_quotes(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut is_quoted = false;
    text.split(|byte| {
        is_quoted ^= *byte == b'"';
        *byte == separator && !is_quoted
    })
    .collect()
}

/// The value of `name=` in an element of `Forwarded`. `None` where it is there twice, or where a quote is not closed.
fn parameter<'e>(element: &'e [u8], name: &[u8]) -> Option<&'e [u8]> {
    if element.iter().filter(|byte| **byte == b'"').count() % 2 != 0 {
        return None;
    }
    let mut values = outside_quotes(element, b';').into_iter().filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        pair[..at].trim_ascii().eq_ignore_ascii_case(name).then(|| pair[at + 1..].trim_ascii())
    });
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(hops: Vec<Hop>) -> String {
        let text = |hop: &Hop| match hop {
            Hop::Address(address) => address.to_string(),
            Hop::Unreadable => "?".to_owned(),
        };
        hops.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    fn list(text: &[u8]) -> String {
        shown(x_forwarded_for([text].into_iter()))
    }

    #[test]
    fn every_form_of_an_address_is_read() {
        assert_eq!(list(b"192.0.2.1, 192.0.2.2:443,\t2001:db8::1"), "192.0.2.1 192.0.2.2 2001:db8::1");
        assert_eq!(list(b"[2001:db8::1], [2001:db8::1]:443"), "2001:db8::1 2001:db8::1");
        assert_eq!(list(b"\"192.0.2.1\", \"[2001:db8::1]:4\""), "192.0.2.1 2001:db8::1");
        assert_eq!(list(b"::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(shown(x_forwarded_for([&b"192.0.2.1"[..], b"192.0.2.2"].into_iter())), "192.0.2.1 192.0.2.2");
    }

    #[test]
    fn what_is_no_address_is_a_stage_all_the_same() {
        for text in [
            &b""[..],
            b" ",
            b"unknown",
            b"192.0.2.1\xff",
            b"\xff",
            b"192.0.2.1:",
            b"192.0.2.1:99999",
            b"[::1",
            b"::1]",
            b"localhost",
        ] {
            assert_eq!(list(text), "?", "{text:?}");
        }
        assert_eq!(list(b"192.0.2.1,"), "192.0.2.1 ?");
        assert_eq!(list(b"192.0.2.1, ,192.0.2.2"), "192.0.2.1 ? 192.0.2.2");
    }

    #[test]
    fn the_header_of_rfc_7239() {
        let read = |text: &[u8]| shown(forwarded([text].into_iter()));
        assert_eq!(read(b"for=192.0.2.60;proto=http;by=203.0.113.43"), "192.0.2.60");
        assert_eq!(read(b"For=\"[2001:db8:cafe::17]:4711\", for=198.51.100.17"), "2001:db8:cafe::17 198.51.100.17");
        assert_eq!(read(b"for=192.0.2.43, for=\"_mdn, for=192.0.2.1\""), "192.0.2.43 ? ?");
        assert_eq!(read(b"proto=https"), "?");
        assert_eq!(read(b"by=192.0.2.1;for=unknown"), "?");
        assert!(forwarded_is_https(b"for=192.0.2.60; Proto=\"https\", for=10.0.0.1;proto=http"));
        assert!(!forwarded_is_https(b"for=\"a;proto=https\""));
    }

    /// The proxy appends `, for=192.0.2.1` or `, for="[2001:db8::1]:4711"` to whatever its client has sent.
    #[test]
    fn a_quote_that_a_client_leaves_open_hides_nothing_of_what_the_proxy_appends() {
        for sent in ["for=127.0.0.1;x=\"", "for=127.0.0.1, x=\"", "for=\"127.0.0.1", "for=127.0.0.1;x=\"\\\\", "\""] {
            for (appended, client) in [("192.0.2.1", "192.0.2.1"), ("\"[2001:db8::1]:4711\"", "2001:db8::1")] {
                let value = format!("{sent}, for={appended}");
                let hops = forwarded([value.as_bytes()].into_iter());
                assert_eq!(hops.last(), Some(&Hop::Address(client.parse().unwrap())), "{value}");
            }
        }
        // The name of the host is the client's choice, too.
        for value in ["for=192.0.2.1;host=\"a, for=127.0.0.1;x=\"", "for=192.0.2.1;for=127.0.0.1"] {
            assert_eq!(forwarded([value.as_bytes()].into_iter()).last(), Some(&Hop::Unreadable), "{value}");
        }
    }

    #[test]
    fn the_first_protocol_of_a_list_counts() {
        assert!(proto_is_https(b"https, http") && proto_is_https(b" HTTPS ") && !proto_is_https(b"http,https"));
        assert!(!proto_is_https(b"") && !proto_is_https(b"https\xff"));
    }
}
