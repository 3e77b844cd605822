//! What a client can take of an answer, and which state of it it has already: read from the head of its request.

use tiny_http::Method;

use super::request::Head;

/// What the head of a request says about the answer it wants.
#[derive(Debug, Clone, Default)]
pub struct Accepts {
    /// It can unpack gzip, and has not said that it would rather not.
    pub gzip: bool,
    /// It would rather have a list as CSV.
    pub csv: bool,
    /// `If-None-Match`, where there is one.
    known: Option<String>,
}

impl Accepts {
    /// Reads it. Only a GET asks for what has changed.
    pub fn of(head: &Head) -> Accepts {
        let csv = head.header("accept").is_some_and(|list| weight(list, "text/csv") > weight(list, "application/json"));
        let lists = || head.all("accept-encoding").filter_map(|list| std::str::from_utf8(list).ok());
        let reads = matches!(head.method, Method::Get | Method::Head);
        let known = head.header("if-none-match").filter(|_| reads).map(str::to_owned);
        Accepts { gzip: takes_gzip(&mut lists()), csv, known }
    }

    /// Whether the client has the state of this tag, `W/"…"`.
    pub fn has(&self, tag: &str) -> bool {
        fn opaque(tag: &str) -> &str {
            tag.trim().trim_start_matches("W/")
        }
        let known = self.known.as_deref().unwrap_or_default();
        known.split(',').any(|one| one.trim() == "*" || opaque(one) == opaque(tag))
    }
}

/// How much a client wants a kind of content, by a list such as `text/csv;q=0.9, */*`; 0 where it is not named.
fn weight(list: &str, kind: &str) -> f32 {
    let one = |one: &str| {
        let (name, parameters) = one.split_once(';').unwrap_or((one, ""));
        let quality = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
        let quality = quality.map_or(Some(1.0), |number| number.trim().parse().ok());
        quality.filter(|_| name.trim().eq_ignore_ascii_case(kind))
    };
    list.split(',').filter_map(one).fold(0.0, f32::max)
}

/// Whether gzip is among the codings of these lists, not with the weight 0, and not with less than what is not packed at all.
fn takes_gzip(lists: &mut dyn Iterator<Item = &str>) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, 0.0);
    for coding in lists.flat_map(|list| list.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|number| number.trim().parse::<f32>().ok());
        let weight = weight.unwrap_or(0.0);
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "*" => any = Some(weight),
            "identity" => identity = weight,
            _ => {}
        }
    }
    let weight = gzip.or(any).unwrap_or(0.0);
    weight > 0.0 && weight >= identity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_whoever_takes_it_and_to_nobody_else() {
        for list in
            ["gzip", "deflate, gzip", "GZIP;q=0.5", "*", "br;q=1, *;q=0.1", "identity;q=0.5, gzip;q=1.0", "x-gzip"]
        {
            assert!(takes_gzip(&mut [list].into_iter()), "{list}");
        }
        for list in [
            "",
            "identity",
            "gzip;q=0",
            "gzip; q=0.000",
            "*;q=0",
            "gzip;q=0, *",
            "gzip;q=x",
            "br",
            "gzip;q=0.5, identity",
        ] {
            assert!(!takes_gzip(&mut [list].into_iter()), "{list}");
        }
        assert!(takes_gzip(&mut ["br", "gzip"].into_iter()), "in two headers");
    }

    #[test]
    fn csv_is_for_whoever_names_it_and_not_json_rather() {
        let wants = |list| weight(list, "text/csv") > weight(list, "application/json");
        assert!(
            ["text/csv", "TEXT/CSV; charset=utf-8", "application/json;q=0.5, text/csv", "text/csv;q=0.1, */*"]
                .into_iter()
                .all(wants)
        );
        assert!(
            !["", "*/*", "text/*", "application/json", "text/csv;q=0", "text/csv;q=0.5, application/json"]
                .into_iter()
                .any(wants)
        );
    }

    #[test]
    fn a_tag_is_known_by_what_is_between_its_quotes() {
        let knows = |known: &str| Accepts { known: Some(known.to_owned()), ..Accepts::default() }.has("W/\"1f\"");
        assert!(["W/\"1f\"", "\"1f\"", "\"2\", W/\"1f\"", "*"].into_iter().all(knows));
        assert!(!["", "W/\"1\"", "1f", "W/\"1F\""].into_iter().any(knows));
        assert!(!Accepts::default().has("W/\"1f\""));
    }
}
