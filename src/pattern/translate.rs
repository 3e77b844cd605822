//! Writes a parsed pattern in the dialect of the crates `regex` and `fancy-regex`.
//!
//! The text to search decides how much is needed: for ASCII text (nearly every log line) classes are ASCII and `\b`
//! is the engine's own; for other text Python's idea of a word and of `$` is spelled out. Nothing of the pattern's own
//! spelling survives, so no difference between the two dialects can slip through.

use std::fmt::Write;

use super::ast::{Assertion, Class, ClassItem, Fold, Greed, Node, Perl, Repeat};

/// What the translation may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The text is ASCII, not empty, and where the pattern has a single-line `$`, its only newline is its last character.
    Ascii,
    /// Any text.
    General,
    /// As `Ascii`, but a superset: everything that needs backtracking is left out, and nothing is captured.
    AsciiRelaxed,
    /// As `General`, but a superset, likewise.
    GeneralRelaxed,
}

impl Mode {
    fn ascii(self) -> bool {
        matches!(self, Mode::Ascii | Mode::AsciiRelaxed)
    }

    fn relaxed(self) -> bool {
        matches!(self, Mode::AsciiRelaxed | Mode::GeneralRelaxed)
    }
}

/// The pattern as text for an engine.
pub fn translate(root: &Node, mode: Mode) -> String {
    let mut out = String::new();
    write_node(root, root, mode, 0, &mut out);
    out
}

/// True when the translation needs the backtracking engine.
pub fn needs_backtracking(root: &Node, mode: Mode) -> bool {
    root.any(&|node| match node {
        Node::Look { .. } | Node::Atomic(_) | Node::Backref(..) | Node::Conditional { .. } => true,
        Node::Repeat(repeat) => repeat.greed == Greed::Possessive,
        Node::Assert(
            Assertion::FinalLineEnd
            | Assertion::WordBoundary(_)
            | Assertion::NotWordBoundary(_)
            | Assertion::NotInsideWord,
        ) => !mode.ascii(),
        _ => false,
    })
}

const NEVER: &str = r"[^\x00-\x{10ffff}]";
const NEVER_ASCII: &str = r"[^\x00-\x7f]";
/// What Python means by a word character, for the inside of a class.
const WORD: &str = r"\p{L}\p{N}_";
const WORD_ASCII: &str = "0-9A-Za-z_";
const DEEPEST_COPY: usize = 4;

fn write_node(node: &Node, root: &Node, mode: Mode, copies: usize, out: &mut String) {
    let text = |inner: &Node| {
        let mut text = String::new();
        write_node(inner, root, mode, copies, &mut text);
        text
    };
    match node {
        Node::Empty => out.push_str("(?:)"),
        Node::Literal(code, fold) => write_literal(*code, *fold, mode, out),
        Node::Any(newline) => out.push_str(if *newline { "(?s:.)" } else { r"[^\n]" }),
        Node::Class(class) => write_class(class, mode, out),
        Node::Assert(assertion) => out.push_str(&assertion_text(*assertion, mode)),
        Node::Concat(nodes) => nodes.iter().for_each(|node| write_node(node, root, mode, copies, out)),
        Node::Alt(nodes) => {
            let branches: Vec<String> = nodes.iter().map(text).collect();
            let _ = write!(out, "(?:{})", branches.join("|"));
        }
        Node::Group(_, inner) => {
            let _ = write!(out, "{}{})", if mode.relaxed() { "(?:" } else { "(" }, text(inner));
        }
        Node::Repeat(repeat) => write_repeat(repeat, &text(&repeat.node), mode, out),
        Node::Look { .. } | Node::Atomic(_) | Node::Backref(..) | Node::Conditional { .. } if mode.relaxed() => {
            write_relaxed(node, root, mode, copies, out);
        }
        Node::Look { node, behind, negative } => {
            let _ =
                write!(out, "(?{}{}{})", if *behind { "<" } else { "" }, if *negative { '!' } else { '=' }, text(node));
        }
        Node::Atomic(inner) => {
            let _ = write!(out, "(?>{})", text(inner));
        }
        Node::Backref(group, fold) => {
            let _ = write!(out, "(?{}:\\{group})", if *fold == Fold::None { "" } else { "i" });
        }
        Node::Conditional { group, yes, no } => {
            let _ = write!(out, "(?({group}){}|{})", text(yes), text(no));
        }
    }
}

/// A superset of what only a backtracking engine can do.
fn write_relaxed(node: &Node, root: &Node, mode: Mode, copies: usize, out: &mut String) {
    match node {
        Node::Atomic(inner) => {
            out.push_str("(?:");
            write_node(inner, root, mode, copies, out);
            out.push(')');
        }
        Node::Conditional { yes, no, .. } => {
            out.push_str("(?:");
            write_node(yes, root, mode, copies, out);
            out.push('|');
            write_node(no, root, mode, copies, out);
            out.push(')');
        }
        // The text of a back-reference is one that the group matched; folded, its letters may differ.
        Node::Backref(group, Fold::None) if copies < DEEPEST_COPY => match root.find_group(*group) {
            Some(body) => {
                out.push_str("(?:");
                write_node(body, root, mode, copies + 1, out);
                out.push(')');
            }
            None => out.push_str("(?s:.)*"),
        },
        Node::Backref(..) => out.push_str("(?s:.)*"),
        _ => out.push_str("(?:)"),
    }
}

fn write_repeat(repeat: &Repeat, body: &str, mode: Mode, out: &mut String) {
    // The engine cannot repeat a look-around; one turn of something without width is as good as many.
    if repeat.node.width(&[]).1 == 0 && repeat.node.any(&|node| matches!(node, Node::Look { .. })) {
        let _ = match (repeat.min, repeat.max, repeat.greed) {
            (0, Some(0), _) => write!(out, "(?:{NEVER}{body}|)"),
            (0, _, Greed::Lazy) => write!(out, "(?:|{body})"),
            (0, _, Greed::Possessive) if !mode.relaxed() => write!(out, "(?>(?:{body}|))"),
            (0, _, _) => write!(out, "(?:{body}|)"),
            (_, _, Greed::Possessive) if !mode.relaxed() => write!(out, "(?>{body})"),
            _ => write!(out, "(?:{body})"),
        };
        return;
    }
    let possessive = repeat.greed == Greed::Possessive && !mode.relaxed();
    if possessive {
        out.push_str("(?>");
    }
    let _ = write!(out, "(?:{body})");
    let _ = match (repeat.min, repeat.max) {
        (0, None) => write!(out, "*"),
        (1, None) => write!(out, "+"),
        (0, Some(1)) => write!(out, "?"),
        (min, None) => write!(out, "{{{min},}}"),
        (min, Some(max)) => write!(out, "{{{min},{max}}}"),
    };
    if repeat.greed == Greed::Lazy {
        out.push('?');
    }
    if possessive {
        out.push(')');
    }
}

fn assertion_text(assertion: Assertion, mode: Mode) -> String {
    let word = |ascii: bool| if ascii { WORD_ASCII } else { WORD };
    let text = match assertion {
        Assertion::TextStart => r"\A",
        Assertion::LineStart => "(?m:^)",
        Assertion::TextEnd => r"\z",
        Assertion::LineEnd => "(?m:$)",
        Assertion::FinalLineEnd if mode.ascii() => "(?m:$)",
        Assertion::WordBoundary(_) if mode.ascii() => r"\b",
        Assertion::NotWordBoundary(_) if mode.ascii() => r"\B",
        Assertion::NotInsideWord if mode.ascii() => r"(?:\b{start-half}|\b{end-half})",
        _ if mode.relaxed() => "(?:)",
        Assertion::FinalLineEnd => r"(?=\n?\z)",
        Assertion::WordBoundary(ascii) => {
            let word = word(ascii);
            return format!("(?:(?<=[{word}])(?![{word}])|(?<![{word}])(?=[{word}]))");
        }
        Assertion::NotWordBoundary(ascii) => {
            let word = word(ascii);
            return format!(r"(?:(?!\A\z)(?:(?<=[{word}])(?=[{word}])|(?<![{word}])(?![{word}])))");
        }
        Assertion::NotInsideWord => return format!("(?:(?<![{WORD}])|(?![{WORD}]))"),
    };
    text.to_string()
}

fn write_code(code: u32, out: &mut String) {
    match char::from_u32(code) {
        Some(character) if character.is_ascii_alphanumeric() => out.push(character),
        _ => {
            let _ = write!(out, "\\x{{{code:x}}}");
        }
    }
}

/// The four letters that Python holds equal under `(?i)`, and Unicode's simple folding does not.
const DOTTED_I: [u32; 4] = ['I' as u32, 'i' as u32, 0x130, 0x131];

fn write_literal(code: u32, fold: Fold, mode: Mode, out: &mut String) {
    if fold != Fold::None && (mode.ascii() || fold == Fold::Ascii || DOTTED_I.contains(&code)) {
        let class = Class { items: vec![ClassItem::Range(code, code)], negated: false, fold, ascii: false };
        return write_class(&class, mode, out);
    }
    if char::from_u32(code).is_none() {
        out.push_str(NEVER);
    } else if mode.ascii() && code > 0x7f {
        out.push_str(NEVER_ASCII);
    } else if fold == Fold::None {
        write_code(code, out);
    } else {
        out.push_str("(?i:");
        write_code(code, out);
        out.push(')');
    }
}

fn write_class(class: &Class, mode: Mode, out: &mut String) {
    if mode.ascii() {
        write_ascii_class(class, out);
    } else {
        write_general_class(class, out);
    }
}

/// The ASCII members of a class, folding and negation applied: bit N stands for code point N.
pub fn ascii_members(class: &Class) -> u128 {
    let mut members = 0u128;
    let mut add = |code: u32| {
        if code < 128 {
            members |= 1 << code;
        }
    };
    for item in &class.items {
        match item {
            ClassItem::Range(low, high) => {
                (*low..=(*high).min(127)).for_each(&mut add);
                if class.fold == Fold::None {
                    continue;
                }
                for code in *low..=(*high).min(127) {
                    if let Some(letter) = char::from_u32(code).filter(char::is_ascii_alphabetic) {
                        add(letter.to_ascii_lowercase() as u32);
                        add(letter.to_ascii_uppercase() as u32);
                    }
                }
                // Letters outside ASCII that fold to one inside it.
                for (code, letters) in [(0x130, "iI"), (0x131, "iI"), (0x17f, "sS"), (0x212a, "kK")] {
                    if class.fold == Fold::Unicode && (*low..=*high).contains(&code) {
                        letters.chars().for_each(|letter| add(letter as u32));
                    }
                }
            }
            ClassItem::Perl(perl, negated) => {
                (0..128).filter(|code| is_ascii_perl(*perl, *code, class.ascii) != *negated).for_each(&mut add)
            }
        }
    }
    if class.negated { !members } else { members }
}

fn is_ascii_perl(perl: Perl, code: u32, ascii: bool) -> bool {
    let Some(character) = char::from_u32(code) else {
        return false;
    };
    match perl {
        Perl::Digit => character.is_ascii_digit(),
        Perl::Word => character.is_ascii_alphanumeric() || character == '_',
        Perl::Space => matches!(character, '\t'..='\r' | ' ') || (!ascii && matches!(code, 0x1c..=0x1f)),
    }
}

fn write_ascii_class(class: &Class, out: &mut String) {
    let members = ascii_members(class);
    if members == 0 {
        return out.push_str(NEVER_ASCII);
    }
    out.push('[');
    let mut code = 0u32;
    while code < 128 {
        if members >> code & 1 == 0 {
            code += 1;
            continue;
        }
        let first = code;
        while code < 128 && members >> code & 1 == 1 {
            code += 1;
        }
        write_code(first, out);
        if code - 1 > first {
            out.push('-');
            write_code(code - 1, out);
        }
    }
    out.push(']');
}

fn write_general_class(class: &Class, out: &mut String) {
    let mut inside = String::new();
    let mut write_range = |low: u32, high: u32| {
        if low > high {
            return;
        }
        write_code(low, &mut inside);
        if high > low {
            inside.push('-');
            write_code(high, &mut inside);
        }
    };
    let mut has_range = false;
    for item in &class.items {
        let ClassItem::Range(low, high) = *item else {
            continue;
        };
        has_range = true;
        // The engines know no surrogates; no text holds one.
        write_range(low, high.min(0xd7ff));
        write_range(low.max(0xe000), high);
        if class.fold == Fold::Unicode && DOTTED_I.iter().any(|code| (low..=high).contains(code)) {
            DOTTED_I.iter().for_each(|code| write_range(*code, *code));
        }
    }
    for item in &class.items {
        if let ClassItem::Perl(perl, negated) = item {
            inside.push_str(perl_text(*perl, *negated, class.ascii));
        }
    }
    if class.fold == Fold::Ascii {
        let plain = Class { negated: false, ..class.clone() };
        let members = ascii_members(&plain);
        (0..128u32).filter(|code| members >> code & 1 == 1).for_each(|code| write_code(code, &mut inside));
    }
    match (inside.is_empty(), class.negated) {
        (true, false) => out.push_str(NEVER),
        (true, true) => out.push_str("(?s:.)"),
        (false, _) => {
            let (open, close) = if has_range && class.fold == Fold::Unicode { ("(?i:", ")") } else { ("", "") };
            let _ = write!(out, "{open}[{}{inside}]{close}", if class.negated { "^" } else { "" });
        }
    }
}

fn perl_text(perl: Perl, negated: bool, ascii: bool) -> &'static str {
    match (perl, ascii, negated) {
        (Perl::Digit, false, false) => r"\d",
        (Perl::Digit, false, true) => r"\D",
        (Perl::Digit, true, false) => "0-9",
        (Perl::Digit, true, true) => "[^0-9]",
        (Perl::Word, false, false) => WORD,
        (Perl::Word, false, true) => r"[^\p{L}\p{N}_]",
        (Perl::Word, true, false) => WORD_ASCII,
        (Perl::Word, true, true) => "[^0-9A-Za-z_]",
        (Perl::Space, false, false) => r"\s\x1c-\x1f",
        (Perl::Space, false, true) => r"[^\s\x1c-\x1f]",
        (Perl::Space, true, false) => r"\x09-\x0d\x20",
        (Perl::Space, true, true) => r"[^\x09-\x0d\x20]",
    }
}
