//! Keys, tokens and passwords in texts of others, masked before somebody reads them. What looks like one is masked; it is a guess, and
//! rather hides a harmless value than shows a secret.

/// What stands in place of a secret.
pub const MASK: &str = "***";
/// Parts of names whose values are secrets.
const NAMES: [&str; 10] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "credential", "pwd"];
/// Words that a secret follows without a sign between.
const SCHEMES: [&str; 3] = ["bearer", "basic", "--password"];
/// The beginnings of tokens that secret scanners know.
const PREFIXES: [&str; 8] = ["bui_", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk_live_"];
/// From how many characters on a word of digits and letters without an order in it is taken for a key.
const RANDOM: usize = 24;

/// The text with everything masked that looks like a secret.
pub fn masked(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

/// Lines of fail2ban's log without the commands of its actions and what these have said: what follows one of these words, and the lines
/// behind it that are no entries of their own. What else looks like a secret is masked.
pub fn log_lines(lines: &[String]) -> Vec<String> {
    const WORDS: [&str; 5] = [" -- exec: ", " -- stdout: ", " -- stderr: ", " Set action", " HINT on "];
    let mut is_hidden = false;
    let one = |text: &String| {
        let is_entry = text.as_bytes().first().is_some_and(u8::is_ascii_digit) && text.get(4..5) == Some("-");
        let word = WORDS.iter().find_map(|word| text.find(word).map(|at| at + word.len()));
        is_hidden = if is_entry { word.is_some() } else { is_hidden || word.is_some() };
        match word {
            Some(end) => format!("{}{MASK}", &text[..end]),
            None if is_hidden => MASK.to_owned(),
            None => masked(text),
        }
    };
    lines.iter().map(one).collect()
}

fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // A name that means a secret was just read, and what separates it from its value may follow.
    let mut expects = false;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        if end == 0 {
            let step = rest.chars().next().map_or(1, char::len_utf8);
            let sign = &rest[..step];
            out.push_str(sign);
            rest = &rest[step..];
            if expects && matches!(sign, "=" | ":") {
                rest = hide_value(&mut out, rest);
                expects = false;
            } else if !sign.trim().is_empty() && !matches!(sign, "\"" | "'") {
                expects = false;
            }
            continue;
        }
        let word = &rest[..end];
        let lower = word.to_ascii_lowercase();
        rest = &rest[end..];
        if rest.starts_with('@') && out.ends_with(':') {
            // user:secret@host
            out.push_str(MASK);
        } else if is_key(word) {
            out.push_str(MASK);
        } else {
            out.push_str(word);
            if SCHEMES.contains(&lower.as_str()) && rest.starts_with(' ') {
                rest = hide_value(&mut out, rest);
            }
        }
        expects = NAMES.iter().any(|name| lower.contains(name))
            || ["key", "auth", "authorization"].contains(&lower.as_str())
            || lower.ends_with("_key");
    }
    out
}

/// Masks the value at the beginning of `rest`; gives what follows it. A reference to another value is none.
fn hide_value<'t>(out: &mut String, rest: &'t str) -> &'t str {
    let value = rest.trim_start_matches([' ', '\t']);
    out.push_str(&rest[..rest.len() - value.len()]);
    let (value, quote) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            out.push(quote);
            (&value[1..], Some(quote))
        }
        _ => (value, None),
    };
    let is_end = |c: char| match quote {
        Some(quote) => c == quote || c == '\n',
        None => c.is_whitespace() || matches!(c, ',' | ']' | ';' | '&' | '"' | '\''),
    };
    let end = value.find(is_end).unwrap_or(value.len());
    let hidden = &value[..end];
    // "Authorization: Bearer x": the scheme is not the secret.
    if SCHEMES.contains(&hidden.to_ascii_lowercase().as_str()) {
        out.push_str(hidden);
        return hide_value(out, &value[end..]);
    }
    let is_reference =
        (hidden.starts_with('<') && hidden.ends_with('>')) || hidden.starts_with("%(") || hidden.starts_with('$');
    out.push_str(if hidden.is_empty() || is_reference { hidden } else { MASK });
    &value[end..]
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Whether a word has the form of a key: a known beginning, or many digits and letters without an order.
fn is_key(word: &str) -> bool {
    if PREFIXES.iter().any(|prefix| word.len() > prefix.len() + 8 && word.starts_with(prefix)) {
        return true;
    }
    let count = |test: fn(&u8) -> bool| word.as_bytes().iter().filter(|byte| test(byte)).count();
    let (digits, lower, upper) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    let is_hex = word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) && digits >= 6;
    is_hex || (word.len() >= RANDOM && digits >= 3 && lower >= 3 && upper >= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_actions_are_left_out_of_the_log() {
        let lines = [
            "2026-11-27 22:06:14,970 fail2ban.utils          [7]: ERROR   7f0 -- exec: curl -u me:pw https://x",
            "-d key=<abc>",
            "2026-11-27 22:06:14,970 fail2ban.utils          [7]: ERROR   7f0 -- stderr: 'curl: me:pw'",
            "2026-11-27 22:06:14,970 fail2ban.utils          [7]: ERROR   7f0 -- returned 7",
            "2026-11-27 22:06:14,970 fail2ban.actions        [7]: NOTICE  [sshd] Ban 192.0.2.1",
            "Traceback (most recent call last):",
        ];
        let shown = log_lines(&lines.map(str::to_owned));
        assert_eq!(shown[0], format!("{}***", &lines[0][..lines[0].find("curl").unwrap()]));
        assert_eq!((shown[1].as_str(), shown[3..].join("\n")), ("***", lines[3..].join("\n")));
        assert!(shown[2].ends_with(" -- stderr: ***"));
    }

    #[test]
    fn secrets_are_masked_and_the_rest_is_read() {
        for (text, expected) in [
            ("+password = hunter2\n", "+password = ***\n"),
            ("action = cloudflare[cftoken=\"abc def\", cfuser=me]", "action = cloudflare[cftoken=\"***\", cfuser=me]"),
            (
                "curl -H 'Authorization: Bearer x.y.z' https://u:pw@example.org/",
                "curl -H 'Authorization: Bearer ***' https://u:***@example.org/",
            ),
            ("abuseipdb_apikey = 0123", "abuseipdb_apikey = ***"),
            ("https://example.org/?api_key=12&x=1", "https://example.org/?api_key=***&x=1"),
            ("mail 5f4dcc3b5aa765d61d8327deb882cf99 end", "mail *** end"),
            ("bui_0123456789abcdef", "***"),
            ("{\"secret\": \"s\"}", "{\"secret\": \"***\"}"),
        ] {
            assert_eq!(masked(text), expected);
        }
        for plain in [
            "maxretry = 3\n[sshd]\nbantime = 1w\n",
            "actionban = curl -d token=<cftoken> -k %(known/key)s",
            "failregex = ^ lab: failed password from <HOST>$",
            "logpath = /var/log/auth.log",
            "bantime.formula = ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor",
        ] {
            assert_eq!(masked(plain), plain);
        }
    }
}
