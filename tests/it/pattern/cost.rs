//! What an expression can cost, against Python's own `re`: each line that is said to be slow is searched by it, with a limit on the
//! time of the processor, so that neither other programs nor a faster machine make the test wrong.

use serde_json::json;

use bangui::pattern::cost::{self, Slow};
use bangui::pattern::tags::expand_tags;
use bangui::pattern::{FailRegex, UseDns};

use super::oracle::{Oracle, export};

/// Said to take a second; a quarter of it is asked for, for a machine that is faster than the one that the prices come from.
const LONG: f64 = 0.25;

/// From the literature, from public reports, and made for the purpose: nested, overlapping, in a row, bounded, lazy, in look-around, in
/// groups, folded, with back-references and with nothing to repeat.
const EVIL: &[&str] = &[
    r#"(?:.*)*x"#,
    r#"(?:a+)+b"#,
    r#"(?:x+)*y"#,
    r#"(?i)^(?:ab?A?)*z"#,
    r#"(x+x+)+y"#,
    r#".*.*=.*x"#,
    r#"\b(?:\w+ ?)+\b<HOST>"#,
    r#"\s*\s*\s*\s*x"#,
    r#"\w*\d*\w*\d*\w*!"#,
    r#"^((?:ab)+)+c"#,
    r#"^(([^/]*)/?)*$x"#,
    r#"^(([a-z])+.)+[A-Z]([a-z])+$"#,
    r#"^(.*a){12}<HOST>"#,
    r#"^(.*a){20}$"#,
    r#"^(?!(a+)+$)a+b"#,
    r#"^(?:"[^"]*"|\S+|\s+)*from <HOST>"#,
    r#"^(?:(?:(?:(?:a)+)+)+)+b"#,
    r#"^(?:(?:[^ ]+ ?)+) from <HOST>"#,
    r#"^(?:(?:\w+)=?(?:\w+)?,?)* from <HOST>"#,
    r#"^(?:(?:a*)*)*b"#,
    r#"^(?:(?:a*)*b)*c"#,
    r#"^(?:(?:ab)*)*c"#,
    r#"^(?:(?:a|b)+|c)+d"#,
    r#"^(?:(?>a)+)+b"#,
    r#"^(?:-{2,}|-)+x"#,
    r#"^(?:.*?,){11}P"#,
    r#"^(?:.{0,40}){10}x"#,
    r#"^(?:.|\s)*x"#,
    r#"^(?:/?[^/ ]*)+ <HOST>"#,
    r#"^(?:<HOST>,? ?)+$"#,
    r#"^(?:<HOST>[, ]*)+x$"#,
    r#"^(?:[^"]|\\.|"[^"]*")*"<HOST>"#,
    r#"^(?:[^,]*,?)*;"#,
    r#"^(?:[a-f0-9]{1,4}:?){1,40} <HOST>$"#,
    r#"^(?:[a-f0-9]{1,8}:?)+ <HOST>"#,
    r#"^(?:[a-z]+[a-z0-9]*)*@"#,
    r#"^(?:[а-я]+\s?)+:"#,
    r#"^(?:\[[^\]]*\]|.)+x"#,
    r#"^(?:\\.|[^\\])*(?:\\.|.)*""#,
    r#"^(?:\d+\.?)+ <HOST>"#,
    r#"^(?:\d{1,3}\.?){1,100}x"#,
    r#"^(?:\s*\w*)*<HOST>"#,
    r#"^(?:\w+[-.]?)+@<HOST>$"#,
    r#"^(?:a(?:b|c?)*)*d"#,
    r#"^(?:a*)*b"#,
    r#"^(?:a*b*)*c"#,
    r#"^(?:a+?)+?b"#,
    r#"^(?:a+?)+b"#,
    r#"^(?:a+b?)+c"#,
    r#"^(?:a?){30}a{30}$"#,
    r#"^(?:aa|aaa)*b"#,
    r#"^(?:ab|a|b)+c"#,
    r#"^(?:a{1,60}){1,60}b"#,
    r#"^(?:a{2,}){2,}b"#,
    r#"^(?:a|(?:a))+b"#,
    r#"^(?:a|b|ab)*c"#,
    r#"^(?:foo|fo+)*bar"#,
    r#"^(?:é|ée?)*b"#,
    r#"^(?=(a+)+$)a"#,
    r#"^(?>a|b)(?:c+)+d"#,
    r#"^(?P<x>a+)+(?P=x)b"#,
    r#"^([01]?[01]?[01]?)+2"#,
    r#"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$"#,
    r#"^([a-zA-Z]+)*$"#,
    r#"^(\S+\s*)+ from <HOST>$"#,
    r#"^(\d+|\d+\.)+x"#,
    r#"^(\w+\s*)+:"#,
    r#"^(\w+\s?)*$"#,
    r#"^(a*)*\1b"#,
    r#"^(a+)+$"#,
    r#"^(a|a)*b"#,
    r#"^(a|a?)+$"#,
    r#"^(a|aa)+$"#,
    r#"^.*.*.*.*.*.*.*.*.*.*<HOST>"#,
    r#"^.*?.*?.*?.*?x"#,
    r#"^.*a.*b.*c.*d.*e.*f"#,
    r#"^.+.+.+.+.+$y"#,
    r#"^[^ ]*[^ ]*[^ ]*[^ ]* <HOST>"#,
    r#"^\S*\S*\S*\S*x"#,
    r#"^\s*(?:a|aa)+b <HOST>$"#,
    r#"^a*a*a*a*a*b"#,
    r#"^\s*(?:<(?:.|\n)*?>)*x <HOST>$"#,
    r#"^(?:/\*(?:.|\n)*?\*/)*x <HOST>$"#,
    r#"^(?:"(?:.|\n)*?")*x <HOST>$"#,
    r#"^(?:<(?:[^\n]|\n)*?>)*x <HOST>$"#,
    r#"^(?:<(?:.|\r|\n)*>)*x <HOST>$"#,
    r#"^(?:<(?:.|[\n])*?>)*x <HOST>$"#,
    r#"^(?:<[\s\S]*?>)*x <HOST>$"#,
    r#"^(?:a?){8}(?:a?){8}(?:a?){8}(?:a?){8}b <HOST>$"#,
    r#"^(?:\w?){8}(?:\w?){8}(?:\w?){8}(?:\w?){8}b <HOST>$"#,
    r#"^(?:(?:a{0,3}){0,3}){0,3}(?:(?:a{0,3}){0,3}){0,3}b <HOST>$"#,
    r#"^(?:(?:(?:a{0,2}){0,2}){0,2}){0,2}(?:(?:(?:a{0,2}){0,2}){0,2}){0,2}b <HOST>$"#,
    r#"(?:a|aa){8}(?:a|aa){8}(?:a|aa){8}b"#,
    r#"^(?:a|aa){8}(?:b|bb){8}(?:a|aa){8}(?:b|bb){8}(?:a|aa){8}(?:b|bb){8}x"#,
    r#"^(?:x|a|aa){4}(?:x|a|aa){4}(?:x|a|aa){4}(?:x|a|aa){4}(?:x|a|aa){4}(?:x|a|aa){4}(?:x|a|aa){4}(?:x|a|aa){4}b <HOST>$"#,
    r#"^(?:.|a){4}(?:.|a){4}(?:.|a){4}(?:.|a){4}(?:.|a){4}(?:.|a){4}(?:.|a){4}b <HOST>$"#,
    r#"^(?:(?:a|aa)\s*){9}(?:(?:a|aa)\s*){9}(?:(?:a|aa)\s*){9}(?:(?:a|aa)\s*){9}c <HOST>$"#,
    r#"^(?:\d{1,3}\.?){4}(?:\d{1,3}\.?){4}(?:\d{1,3}\.?){4}(?:\d{1,3}\.?){4}(?:\d{1,3}\.?){4}x <HOST>$"#,
    r#"^(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)b"#,
    r#"^a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa$"#,
];

/// They look like those, and are fast: what usual filters are made of.
const HARMLESS: &[&str] = &[
    r#"^.* from .* <HOST>$"#,
    r#"^\S+ \S+ <HOST>$"#,
    r#"(?:[a-z]+ )*x"#,
    r#"^(?:[a-z]+ )*<HOST>$"#,
    r#"^\s*(?:\S+ )?login failed for \S+ from <HOST>\s*$"#,
    r#"^(?:\d+,)*\d+ <HOST>$"#,
    r#"^(?:\w+=\S* )*rhost=<HOST>"#,
    r#"^\[\S+\] .* client <HOST>"#,
    r#"^.*authentication failure.* rhost=<HOST>"#,
    r#"^(a|b)*c"#,
    r#"^(?:a|b)+c <HOST>"#,
    r#"^(?:ab|cd)+e <HOST>"#,
    r#"^(?:foo|bar|baz)* <HOST>"#,
    r#"^a+b+c+ <HOST>"#,
    r#"^[a-z]+[0-9]+[a-z]+[0-9]+x"#,
    r#"^(?:[a-z]+\d+)*x"#,
    r#"^(?:\d{1,3}\.){3}\d{1,3} <HOST>"#,
    r#"^(?:[0-9a-f]{2}:){5}[0-9a-f]{2} <HOST>"#,
    r#"^"[^"]*" "[^"]*" <HOST>"#,
    r#"^(?:"[^"]*" )*<HOST>"#,
    r#"^(?:"(?:[^"\\]|\\.)*")+ <HOST>"#,
    r#"^(?:[^"\\]|\\.)*" <HOST>"#,
    r#"^\w+\s+\w+\s+\w+\s+<HOST>"#,
    r#"^\s*\w+\s*=\s*\w+ <HOST>"#,
    r#"^(?:\w|\d)+ <HOST>"#,
    r#"^(?:[a-f]|[0-9])+ <HOST>"#,
    r#"^(?:\s|\w)*! <HOST>"#,
    r#"^(?:a?b)*c <HOST>"#,
    r#"^(?:ab?)*c <HOST>"#,
    r#"^(?:ab*)*c <HOST>"#,
    r#"^(?:a+b)*c <HOST>"#,
    r#"^(?:a{1,3}b){1,50}c <HOST>"#,
    r#"^a{1,100}b{1,100} <HOST>"#,
    r#"^a?b?c?d?e?f?g?h? <HOST>"#,
    r#"^(?:(?:a|b)c)*d <HOST>"#,
    r#"^(?>a+)+b <HOST>"#,
    r#"^(?:a++b?)+c <HOST>"#,
    r#"^(?:.|\n)*?x$"#,
    r#"x*x*x*x*"#,
    r#"^\s+|\s+$"#,
    r#"^(?=.*x)(?=.*y).*<HOST>"#,
    r#"^(?!.*ok).* <HOST>"#,
    r#"^(\w+) \1 <HOST>"#,
    r#"^(?:\[[^\]]*\])* <HOST>"#,
    r#"^(?:/[^/ ]+)+ <HOST>"#,
    r#"^(?:/[^/ ]*)* <HOST>"#,
    r#"^(?:[^\s,]+(?:, |$))+<HOST>"#,
    r#"\bfailed\b.*\bfrom <HOST>\b"#,
    r#"<HOST>"#,
    r#"^<HOST> - \S+ \[[^\]]*\] "(?:GET|POST) [^"]*" 40[134] "#,
    r#"^(?:[^:]+: ){2,4}error from <HOST>"#,
    r#"^.{0,40} <HOST>.{0,40}$"#,
    r#"^.*^.*^.*^.*^.*^.*^.*^.*^.*^.*<HOST>"#,
    r#"^.*$"#,
    r#"^(?:[a-z]|[a-z0-9_])+-"#,
    r#"^(?:\w|[-.\d])+@<HOST>"#,
    r#"^.{0,200}.{0,200}.{0,200}x"#,
    r#"^(?:[ab]|[ac]){3}(?:[ab]|[ac]){3}(?:[ab]|[ac]){3}(?:[ab]|[ac]){3}(?:[ab]|[ac]){3}(?:[ab]|[ac]){3}x"#,
    r#"^(?:a|aa){3}\b(?:a|aa){3}\b(?:a|aa){3}\b(?:a|aa){3}\b(?:a|aa){3}\b(?:a|aa){3}\b(?:a|aa){3}\bc"#,
    r#"^(?:\d{1,3}\.?){3}(?:\d{1,3}\.?){3}x <HOST>$"#,
];

/// Shipped expressions that are really slow, with the filter they come from and what is to blame.
const SLOW_STOCK: &[(&str, &str)] = &[
    ("assp", r"(?:\<\S+@\S+\.\S+\> )*"),
    ("courier-auth", r"(?:(?!ip=)(?:user=(?P<user>[^,]*)|\w+=[^,]*), )*"),
    ("domino-smtp", r"(?:[^\[]+ )*"),
    ("dovecot", r"(?:: (?:\w+\([^\):]*\) \w+|[^\(]+))*"),
    ("exim", r#"(?:"+[^"]*(?="))*?"#),
    ("grafana", r#"(?: uname=(?:"(?P<alt_user>[…"]+)"| \S+=(?:\S*|"[^"]+"))*"#),
    ("lighttpd-auth", r"\s+(?P<alt_user>(?:\S+|.*?"),
    ("recidive", r"\s*)(?:\(\S+\))?[\]\)]?:?|[\…(?:\[ID \d+ \S+\]\s+)?(?:\s*"),
    ("zzz-sshd-obsolete-multiline", r".+?)?(?: (?:port \d+|on \S+|…on \S+|\[preauth\])){0,3}\s*"),
    ("zzz-sshd-obsolete-multiline", r".+?)?(?: (?:port \d+|on \S+|\[preauth\])){0,3}\s*"),
    ("sshd", r#"(?:\[(?:[^\]"]*|"[^"]*")*\])+"#),
];

fn slow(expression: &str) -> Option<Slow> {
    let judgement = cost::judge(&expand_tags(expression, UseDns::Warn), false);
    assert!(!judgement.unfinished, "{expression}");
    judgement.slow
}

/// Seconds of the processor that Python takes; `None` for more than the limit.
fn python_takes(oracle: &mut Oracle, expression: &str, line: &str, limit: f64) -> Option<f64> {
    let pattern = expand_tags(expression, UseDns::Warn);
    oracle.ask(&json!({ "pattern": pattern, "text": format!("{line}\n"), "limit": limit })).as_f64()
}

/// Each is caught, and Python is slow on the line that is shown.
fn all_are_caught(expressions: &[&str]) {
    let mut oracle = Oracle::times();
    for expression in expressions {
        let found = slow(expression).unwrap_or_else(|| panic!("{expression} is not caught"));
        assert!(found.is_too_slow(), "{expression}: only {} ns", found.nanoseconds);
        assert!(found.line.chars().count() <= cost::LINE && !found.line.contains('\n'), "{expression}");
        let taken = python_takes(&mut oracle, expression, &found.line, LONG);
        assert_eq!(taken, None, "{expression} on {:?}", found.line);
    }
}

#[test]
fn evil_expressions_are_caught_and_hang_python() {
    all_are_caught(&EVIL[..EVIL.len() / 2]);
}

#[test]
fn more_evil_expressions_are_caught_and_hang_python() {
    all_are_caught(&EVIL[EVIL.len() / 2..]);
}

#[test]
fn the_three_that_hung_a_daemon_are_caught() {
    for expression in [r"^\s*(?:a|aa)+b <HOST>$", r"^(a|a)*b", r"^.*.*.*.*.*.*.*.*.*.*<HOST>"] {
        assert!(slow(expression).is_some_and(|found| found.is_too_slow()), "{expression}");
    }
}

#[test]
fn harmless_expressions_raise_no_alarm_and_are_fast_in_python() {
    let mut oracle = Oracle::times();
    for expression in HARMLESS {
        assert_eq!(slow(expression), None, "{expression}");
        for piece in ["a", " ", "a ", "1.", "ab", "x,", "\"\\", "::", "/", "a=", "foo "] {
            let line = piece.repeat(cost::LINE / piece.len());
            let taken = python_takes(&mut oracle, expression, &line, LONG);
            assert!(taken.is_some(), "{expression} on {piece:?}");
        }
    }
}

/// What is repeated a few times only does not grow for ever: such a line is reckoned to its end, and not taken for one without.
#[test]
fn a_bounded_repetition_that_takes_a_tenth_of_a_second_is_not_refused() {
    for expression in [r"^(?:a|aa){20}b <HOST>$", r"^(?:a|aa){5}b*(?:a|aa){5}b*(?:a|aa){5}b*(?:a|aa){5}b*c"] {
        let found = slow(expression).unwrap_or_else(|| panic!("{expression}"));
        assert!(!found.is_too_slow(), "{expression}: {} ns on {:?}", found.nanoseconds, found.line);
    }
}

/// Between the two borders there is a figure, and it is Python's within what machines differ by.
#[test]
fn the_time_that_is_told_is_about_what_python_takes() {
    let mut oracle = Oracle::times();
    for expression in
        [r"^.*.*<HOST>$", r"^.*<IP4>.*<IP6>.*x$", r"^(?:a{0,2}){0,4}(?:a{0,2}){0,8}(?:a{0,2}){0,8}b <HOST>$"]
    {
        let found = slow(expression).unwrap_or_else(|| panic!("{expression}"));
        let taken = python_takes(&mut oracle, expression, &found.line, 20.0).expect("it ends");
        let ratio = found.nanoseconds as f64 / 1e9 / taken;
        assert!((0.25..4.0).contains(&ratio), "{expression}: {ratio} times what Python takes");
        let limit = 2 * cost::TOO_LONG;
        let measured = cost::measure(&expand_tags(expression, UseDns::Warn), false, &found.line, limit);
        let ratio = found.nanoseconds as f64 / measured as f64;
        // Counted turns that are not reckoned to their end count as a second, to be on the safe side: the last one takes 0.6 s.
        let most = if found.is_too_slow() { 2.5 } else { 1.6 };
        assert!(
            (0.6..most).contains(&ratio),
            "{expression}: {ratio} times what its line takes when reckoned to the end"
        );
    }
}

#[test]
fn an_expression_too_large_to_be_looked_at_says_so_and_takes_little_time() {
    let started = std::time::Instant::now();
    let large = format!("^{}x", r"(?:\w+\s*[a-z]*\S*)*".repeat(600));
    let judgement = cost::judge(&large, false);
    assert!(judgement.unfinished || judgement.slow.is_some());
    assert!(started.elapsed() < std::time::Duration::from_secs(60), "{:?}", started.elapsed());
}

/// What this thread has had of the processor.
fn cpu_time() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a thread's times");
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok()).expect("nanoseconds");
    std::time::Duration::from_nanos(nanoseconds)
}

/// What took half a minute to judge, and what is like it: a count of steps ends it, so that one expression cannot use up a request's time.
#[test]
fn no_expression_takes_long_to_judge() {
    let own = [
        r".*x.*y.*z <HOST>",
        r"(?:(?=.*z)|a)*(?=.*y)b <HOST>",
        r"^a{0,500}a{0,500}a{0,500}b <HOST>$",
        r"^(?:(?:a|b)*|b*)*c <HOST>$",
        r".*a.*b.*c.*d.*e <HOST>",
        r"(?=.*a)(?=.*b)(?:(?=.*c)|d)*e <HOST>",
    ];
    for expression in own {
        let before = cpu_time();
        let _ = cost::judge(&expand_tags(expression, UseDns::Warn), false);
        let taken = cpu_time() - before;
        assert!(taken < std::time::Duration::from_secs(12), "{expression}: {taken:?}");
    }
}

/// No alarm for what fail2ban ships, but for the few that earn it.
#[test]
fn stock_and_sample_expressions_pass_but_for_the_ones_that_are_slow() {
    let (exported, mut oracle) = (export(), Oracle::times());
    let mut seen = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for filter in exported.filters.iter().chain(&exported.stock) {
        let expressions = filter.prefregex.iter().chain(&filter.failregex).chain(&filter.ignoreregex);
        for expression in expressions.filter(|expression| seen.insert((*expression).clone())) {
            if FailRegex::new(expression, UseDns::Warn, false).is_err() {
                continue;
            }
            let judgement = cost::judge(&expand_tags(expression, UseDns::Warn), false);
            assert!(!judgement.unfinished, "{}: {expression}", filter.name);
            let Some(found) = judgement.slow else { continue };
            let known =
                |(name, construct): &&(&str, &str)| *name == filter.name && *construct == found.construct.construct;
            let pattern = expand_tags(expression, UseDns::Warn);
            let question = json!({ "pattern": pattern, "text": format!("{}\n", found.line), "limit": LONG });
            let taken = oracle.ask(&question).as_f64().unwrap_or(LONG);
            assert!(taken * 1e9 > found.nanoseconds as f64 / 20.0, "{}: {taken} s on {:?}", filter.name, found.line);
            if !SLOW_STOCK.iter().any(|known_one| known(&known_one)) {
                wrong.push(format!(
                    "{}: {taken} s, {} ns for {}",
                    filter.name, found.nanoseconds, found.construct.construct
                ));
            }
        }
    }
    assert!(seen.len() > 200, "{}", seen.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}
