//! fail2ban's tags in a regular expression: `<HOST>`, `<F-USER>…</F-USER>`, `<SKIPLINES>` and the others.
//!
//! Turns the text of an expression into a pattern in Python's dialect; it compiles nothing.

use super::use_dns::UseDns;

/// An IPv4 address as fail2ban writes it, digits unchecked.
const IP4: &str = r"(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})";
/// An IPv6 address as fail2ban 1.0 writes it (1.1 has a single colon instead of the second `::`).
const IP6: &str = r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):))";
const DNS: &str = r"(?P<dns>[\w\-.^_]*\w)";
const CIDR: &str = r"(?P<cidr>\d+)";

fn address() -> String {
    format!(r"\[?(?:{IP4}|{IP6})\]?")
}

fn subnet() -> String {
    format!(r"\[?(?:{IP4}|{IP6})(?:/{CIDR})?\]?")
}

/// The pattern with every tag replaced, and global flags of a group (`((?i)…)`) made local, as the daemon does before it compiles.
pub fn expand_tags(expression: &str, use_dns: UseDns) -> String {
    let mut out = String::with_capacity(expression.len() * 2);
    let mut open: Vec<&str> = Vec::new();
    let mut skipped = 0;
    let mut rest = expression;
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        let from_tag = &rest[start..];
        let Some(length) = tag_length(from_tag) else {
            out.push('<');
            rest = &from_tag[1..];
            continue;
        };
        let (tag, after) = from_tag.split_at(length);
        rest = after;
        match replace_tag(&tag[1..length - 1], use_dns, &mut open, &mut skipped) {
            Some(text) => out.push_str(&text),
            None => out.push_str(tag),
        }
    }
    out.push_str(rest);
    localize_flags(&out)
}

/// The length of the tag that `text` begins with: `<`, perhaps `/`, word characters and hyphens, perhaps `/`, `>`.
fn tag_length(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('<')?;
    let inside = inside.strip_prefix('/').unwrap_or(inside);
    let name = inside.trim_start_matches(|letter: char| letter == '-' || letter == '_' || letter.is_alphanumeric());
    if name.len() == inside.len() {
        return None;
    }
    let name = name.strip_prefix('/').unwrap_or(name);
    let rest = name.strip_prefix('>')?;
    Some(text.len() - rest.len())
}

fn replace_tag<'t>(tag: &'t str, use_dns: UseDns, open: &mut Vec<&'t str>, skipped: &mut usize) -> Option<String> {
    Some(match tag {
        "HOST" if use_dns == UseDns::No => address(),
        "HOST" => format!("(?:{}|{DNS})", address()),
        "SKIPLINES" => {
            *skipped += 1;
            format!(r"\n(?P<skiplines{}>(?:(?:.*\n)*?))", *skipped - 1)
        }
        "IP4" | "F-IP4/" => IP4.to_string(),
        "IP6" | "F-IP6/" => IP6.to_string(),
        "ADDR" | "F-ADDR/" => address(),
        "CIDR" | "F-CIDR/" => CIDR.to_string(),
        "SUBNET" | "F-SUBNET/" => subnet(),
        "DNS" | "F-DNS/" => DNS.to_string(),
        "F-ID/" => r"(?P<fid>\S+)".to_string(),
        "F-PORT/" => r"(?P<fport>\w+)".to_string(),
        custom => return custom_tag(custom, open),
    })
}

/// `F-NAME` opens a group, `/F-NAME` closes it if it was opened.
fn custom_tag<'t>(tag: &'t str, open: &mut Vec<&'t str>) -> Option<String> {
    let (closing, tag) = tag.strip_prefix('/').map_or((false, tag), |tag| (true, tag));
    let name = tag.strip_prefix("F-")?;
    let plain = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_' || letter == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    if closing {
        return open.contains(&name).then(|| ")".to_string());
    }
    open.push(name);
    Some(format!("(?P<{}>", option_of_tag(name)))
}

/// The group a tag captures into: lower case, `ID` and `PORT` under names of their own.
pub fn option_of_tag(tag: &str) -> String {
    match tag.to_lowercase().as_str() {
        "id" => "fid".to_string(),
        "port" => "fport".to_string(),
        other => other.to_string(),
    }
}

/// `((?i)` and `(?:(?i)` become `(?i:`.
fn localize_flags(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(start) = rest.find('(') {
        let escaped = rest[..start].ends_with('\\') || (start == 0 && out.ends_with('\\'));
        let group = &rest[start..];
        let inner = group.strip_prefix("(?:").unwrap_or(&group[1..]);
        let plain = &group[1..];
        let found = [inner, plain].into_iter().find_map(|inner| {
            let letters = inner.strip_prefix("(?")?;
            let after = letters.trim_start_matches(|letter: char| letter.is_ascii_lowercase());
            let flags = &letters[..letters.len() - after.len()];
            (!flags.is_empty()).then(|| after.strip_prefix(')').map(|after| (flags, after))).flatten()
        });
        out.push_str(&rest[..start]);
        match found {
            Some((flags, after)) if !escaped => {
                out.push_str("(?");
                out.push_str(flags);
                out.push(':');
                rest = after;
            }
            _ => {
                out.push('(');
                rest = &group[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_tags_open_and_close_groups() {
        let expand = |text| expand_tags(text, UseDns::Warn);
        assert_eq!(expand("<F-USER>a</F-USER>"), "(?P<user>a)");
        assert_eq!(expand("</F-USER><f-user><F-x/>"), "</F-USER><f-user><F-x/>");
        assert_eq!(expand(r"<F-ID>x</F-ID><F-PORT/>"), r"(?P<fid>x)(?P<fport>\w+)");
        assert_eq!(
            expand("a<SKIPLINES>b<SKIPLINES>"),
            r"a\n(?P<skiplines0>(?:(?:.*\n)*?))b\n(?P<skiplines1>(?:(?:.*\n)*?))"
        );
        assert_eq!(expand("<<CIDR>>"), r"<(?P<cidr>\d+)>");
    }

    #[test]
    fn global_flags_in_a_group_become_local() {
        let expand = |text| expand_tags(text, UseDns::Warn);
        assert_eq!(expand("a((?i)b)(?:(?is)c)"), "a(?i:b)(?is:c)");
        assert_eq!(expand(r"\((?i)b"), r"\((?i)b");
        assert_eq!(expand("((?P<x>b))"), "((?P<x>b))");
    }

    #[test]
    fn without_dns_host_is_an_address() {
        assert!(!expand_tags("<HOST>", UseDns::No).contains("dns"));
        assert!(expand_tags("<HOST>", UseDns::Raw).contains("dns"));
    }
}
