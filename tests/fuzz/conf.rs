//! Fuzzing of the configuration language without a special compiler: seeded mutations, in this process.
//!
//! Each test runs for `BANGUI_FUZZ_SECONDS` (default 1) from the seed `BANGUI_FUZZ_SEED` (default 1) and prints both, so
//! that a failure can be repeated. Properties: nothing panics; unedited text survives byte for byte; what was written
//! reads back as what was meant. The comparison with fail2ban itself is in `conf_against_fail2ban`.

use std::time::{Duration, Instant};

use bangui::conf::{Document, NewValue, Overlay, StreamOptions, Tree, invocation, invocations};

/// A small generator of numbers (xorshift64*): the same seed gives the same run everywhere.
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit.max(1)
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// Runs `step` until the time is over and says how often that was.
pub(crate) fn run(name: &str, mut step: impl FnMut(&mut Random)) {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seconds = number("BANGUI_FUZZ_SECONDS").unwrap_or(1);
    let seed = number("BANGUI_FUZZ_SEED").unwrap_or(1).max(1);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut random = Random(seed);
    let mut runs = 0_u64;
    eprintln!("{name}: seed {seed}, {seconds} s");
    while Instant::now() < end {
        step(&mut random);
        runs += 1;
    }
    eprintln!("{name}: {runs} runs");
}

/// Pieces that mean something to the language.
const PIECES: [&str; 62] = [
    "[",
    "]",
    "=",
    ":",
    "\n",
    "\n ",
    "\n\t",
    "\r\n",
    "\r",
    "#",
    ";",
    " ;",
    "%",
    "%%",
    "%(",
    ")s",
    "%(x)s",
    "%(known/x)s",
    "<",
    ">",
    "<x>",
    "<known/x>",
    "?",
    ",",
    "\"",
    "'",
    "[a]",
    "[DEFAULT]",
    "[INCLUDES]",
    "[Definition]",
    "[Init?f=1]",
    "x = 1",
    "y: 2",
    "before = f",
    "enabled = true",
    "filter = f[a=b]",
    "action = a[x=\"1,2\"]\n a[name=n]",
    " ",
    "\t",
    "\0",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{a0}",
    "é",
    "\x0b",
    "\x1c",
    "a",
    "B",
    "1",
    "\\",
    "/",
    "__name__",
    "known/",
    "x",
    "failregex",
    "\n  # c",
    "\n  ; c",
    "\n\n",
    "][",
    "=\"",
    "%(default/x)s",
];

/// A text made of such pieces.
pub(crate) fn soup(random: &mut Random) -> String {
    let length = random.below(40);
    (0..length).map(|_| random.pick(&PIECES)).collect()
}

#[test]
fn fuzz_conf_parser_keeps_every_byte_and_never_panics() {
    run("parser", |random| {
        let text = soup(random);
        if let Ok(document) = Document::parse(text.as_str()) {
            let lines = document.lines.iter();
            let together: String = lines.map(|line| &document.text[line.start..line.next]).collect();
            assert_eq!(together, text);
        }
        let _ = invocation(&text);
        let _ = invocations(&text);
        let _ = bangui::conf::time::seconds(&text);
    });
}

#[test]
fn fuzz_conf_edits_change_one_option_and_nothing_else() {
    run("edits", |random| {
        let Ok(document) = Document::parse(soup(random)) else {
            return;
        };
        let section = random.pick(&["a", "DEFAULT", "Definition", "new", "Init?f=1"]);
        let key = random.pick(&["x", "y", "enabled", "failregex", "Z.1"]);
        let text = soup(random);
        let value = match random.below(2) {
            0 => NewValue::Literal(text.clone()),
            _ => NewValue::Raw(text.clone()),
        };
        let Ok(changed) = document.set(section, key, &value) else {
            return;
        };
        let found = changed.setting(section, key).expect("what was set is there");
        let meant: Vec<&str> = text.split('\n').map(str::trim).collect();
        let meant = match value {
            NewValue::Literal(_) => meant.join("\n").replace('%', "%%"),
            NewValue::Raw(_) => meant.join("\n"),
        };
        assert_eq!(&*found.value, meant.trim_end(), "{:?}", document.text);
        check_lines_kept(&document, &changed, section, key);
        let removed = changed.remove(section, key).expect("what was set can be removed");
        assert!(removed.setting(section, key).is_none());
        check_lines_kept(&changed, &removed, section, key);
    });
}

/// Every line that does not belong to the option is still there, byte for byte and in order.
fn check_lines_kept(before: &Document, after: &Document, section: &str, key: &str) {
    let own = before.setting(section, key).map(|setting| setting.line..=setting.last);
    let mut rest = after.lines.iter().map(|line| &after.text[line.start..line.end]);
    for (at, line) in before.lines.iter().enumerate() {
        if own.as_ref().is_some_and(|own| own.contains(&at)) {
            continue;
        }
        let text = &before.text[line.start..line.end];
        assert!(rest.any(|other| other == text), "{text:?} is lost: {:?} -> {:?}", before.text, after.text);
    }
}

/// A tree of random files, likely to be accepted: by path, with content.
pub(crate) fn random_tree(random: &mut Random) -> Vec<(&'static str, String)> {
    let names = [
        "jail.conf",
        "jail.local",
        "jail.d/a.conf",
        "jail.d/b.local",
        "filter.d/f.conf",
        "filter.d/f.local",
        "filter.d/g.conf",
        "action.d/a.conf",
        "action.d/a.local",
        "action.d/b.conf",
        "filter.d/inc.conf",
        "fail2ban.conf",
    ];
    let mut files = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        if at > 0 && random.below(3) == 0 {
            continue;
        }
        let mut text = String::new();
        if random.below(6) > 0 {
            text.push_str("[DEFAULT]\n");
            for key in ["mode", "y", "x"] {
                let value = random_value(random, key);
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        let jail = name.starts_with("jail");
        let sections: &[&str] =
            if jail { &["j1", "j2", "J3"] } else { &["Definition", "Init", "Init?f=1", "Definition?x", "INCLUDES"] };
        for section in sections {
            if random.below(4) == 0 {
                continue;
            }
            text.push_str(&format!("[{section}]\n"));
            if jail && random.below(5) > 0 {
                text.push_str("enabled = true\n");
            }
            random_options(random, jail, *section == "INCLUDES", &mut text);
        }
        if random.below(12) == 0 {
            text.push_str(&soup(random));
        }
        files.push((name, text));
    }
    files
}

fn random_options(random: &mut Random, jail: bool, includes: bool, text: &mut String) {
    let keys: &[&str] = if includes {
        &["before", "after", "x"]
    } else if jail {
        &[
            "x",
            "y",
            "mode",
            "filter",
            "action",
            "bantime",
            "maxretry",
            "logpath",
            "failregex",
            "ignoreip",
            "usedns",
            "backend",
            "maxlines",
            "journalmatch",
        ]
    } else {
        &[
            "x",
            "y",
            "mode",
            "failregex",
            "prefregex",
            "ignoreregex",
            "actionban",
            "actionstart",
            "norestored",
            "maxlines",
            "journalmatch",
            "datepattern",
            "usedns",
            "logtype",
            "known/x",
            "X-y",
        ]
    };
    let mut left: Vec<&str> = keys.to_vec();
    for _ in 0..random.below(7) {
        let key = left.swap_remove(random.below(left.len()));
        let value = match key {
            "before" | "after" => {
                random.pick(&["inc.conf", "f.conf", "none", "%(x)s.conf", "a.conf\n  b.conf", ""]).to_owned()
            }
            "filter" => random
                .pick(&["f", "g[mode=%(mode)s, x=1]", "f[x=\"<y>\"][maxlines=3]", "f[a=b", "none", "%(__name__)s", ""])
                .to_owned(),
            "action" => {
                let list = [
                    "a",
                    "a[x=1, y=\"2,3\"]\n b[name=%(__name__)s-z]",
                    "b\n a",
                    "a[actname=q]",
                    "s.py[k=\"v\"]",
                    "none",
                    "a [x=1]",
                    "a[x='<y>', actionban=<x>]",
                    "a[x=1]b",
                    "b[bantime=3, X=4]",
                ];
                random.pick(&list).to_owned()
            }
            _ => random_value(random, key),
        };
        text.push_str(&format!("{key} = {value}\n"));
        if left.is_empty() {
            return;
        }
    }
}

/// A value that seldom refers to itself: `x` may refer to `y` and `mode`, `y` to `mode`, all others to these three.
fn random_value(random: &mut Random, key: &str) -> String {
    let hidden: &[&str] = match key {
        "x" => &["x)", "<x", "/x>"],
        "y" => &["x)", "<x", "/x>", "y)", "<y"],
        "mode" => &["x)", "<x", "/x>", "y)", "<y", "mode"],
        _ => &[],
    };
    let careful = random.below(30) > 0;
    let parts = [
        "1",
        "abc",
        "<x>",
        "<y>",
        "<mode>",
        "%(x)s",
        "%(y)s",
        "%(mode)s",
        "%(known/x)s",
        "%(default/y)s",
        "%(__name__)s",
        "%%",
        "<HOST>",
        "<known/x>",
        " ",
        "\n  ",
        "\n\n  ",
        "<<mode>>",
        "x",
        "yes",
        ";",
        "#",
        " ; c",
        "'",
        "<logtype>",
        "<Init/x>",
        "%(j1/x)s",
        "<X-y>",
        "[",
        "]",
        "=",
        ",",
        "true",
        "10m",
    ];
    let mut value = String::new();
    for _ in 0..random.below(5) {
        let part = random.pick(&parts);
        if !(careful && hidden.iter().any(|name| part.contains(name))) {
            value.push_str(part);
        }
    }
    value
}

#[test]
fn fuzz_conf_trees_never_panic_and_views_agree_with_the_stream() {
    let root = tempfile::tempdir().expect("a directory");
    run("trees", |random| {
        let files = random_tree(random);
        let base = root.path().to_str().expect("UTF-8");
        let overlay: Overlay =
            files.iter().map(|(name, text)| (format!("{base}/{name}"), Some(text.clone().into_bytes()))).collect();
        let Ok(tree) = Tree::load_with(root.path(), overlay) else {
            return;
        };
        let options = StreamOptions::default();
        let stream = tree.stream(&options);
        let views = tree.all_jails(&options).expect("the jails are there");
        for view in &views {
            // A jail that the stream starts has no problem of its own.
            if let Ok(stream) = &stream {
                assert!(!stream.jails.contains(&view.name) || view.problem.is_none());
            }
        }
        for name in tree.filters() {
            if let Ok(called) = invocation(&name) {
                let _ = tree.filter(&called, "auto");
            }
        }
    });
}
