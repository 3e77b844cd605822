//! The decoder against everything real daemons were seen to send, and against everything nobody should.

use super::*;
use crate::fail2ban::encode;
use crate::fail2ban::value::Value;

/// Replies of six builds; the file says what its columns are.
const REPLIES: &str = include_str!("../../../tests/data/replies.txt");

fn unhex(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn replies() -> impl Iterator<Item = (&'static str, &'static str, Vec<u8>)> {
    REPLIES.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        (columns[1], columns[2], unhex(columns[3]))
    })
}

fn value(bytes: &[u8]) -> Result<Value, PickleError> {
    decode(bytes)?.value()
}

/// Text as Python's `repr` writes it.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' || c == '\x7f' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn joined(items: &[Value]) -> String {
    items.iter().map(repr).collect::<Vec<_>>().join(", ")
}

/// A value as Python's `repr` writes it, which is how the recorded replies state theirs.
fn repr(value: &Value) -> String {
    match value {
        Value::Str(text) => quoted(text),
        Value::Float(number) => format!("{number:?}"),
        Value::Bytes(bytes) => {
            let text: String = bytes
                .iter()
                .map(|b| match b {
                    0x20..=0x7e => char::from(*b).to_string(),
                    _ => format!("\\x{b:02x}"),
                })
                .collect();
            format!("b'{text}'")
        }
        Value::List(items) => format!("[{}]", joined(items)),
        Value::Tuple(items) if items.len() == 1 => format!("({},)", joined(items)),
        Value::Tuple(items) => format!("({})", joined(items)),
        Value::Set(items) => format!("{{{}}}", joined(items)),
        Value::Dict(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{}: {}", repr(k), repr(v))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Object { module, name, args, state } => {
            let state = state.as_ref().map(|state| format!(" state={}", repr(state))).unwrap_or_default();
            format!("<{module}.{name}{}{state}>", repr(args))
        }
        plain => plain.shown(),
    }
}

#[test]
fn every_recorded_reply_decodes_to_what_it_says() {
    let mut count = 0;
    for (request, expected, bytes) in replies() {
        // We make no difference between the two kinds of sets.
        let expected = expected.replace("frozenset({1})", "{1}");
        let found = value(&bytes).unwrap_or_else(|error| panic!("{request}: {error}"));
        assert_eq!(repr(&found), expected, "{request}");
        count += 1;
    }
    assert_eq!(count, 394);
}

#[test]
fn a_reply_cut_anywhere_is_an_error() {
    for (request, _, bytes) in replies() {
        let mut framer = opcode::Framer::default();
        for length in 0..bytes.len() {
            assert_eq!(value(&bytes[..length]), Err(PickleError::Truncated), "{request} at {length}");
            assert_eq!(framer.end(&bytes[..length]), Ok(None), "{request} at {length}");
        }
        assert_eq!(framer.end(&bytes), Ok(Some(bytes.len())), "{request}");
    }
}

#[test]
fn a_damaged_reply_never_panics() {
    // A fixed generator, so that a failure repeats.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut refused = 0;
    for (_, _, bytes) in replies() {
        for _ in 0..60 {
            let mut damaged = bytes.clone();
            for _ in 0..=random() % 3 {
                let at = random() as usize % damaged.len();
                damaged[at] = random() as u8;
            }
            refused += usize::from(value(&damaged).is_err());
            if let Ok(decoded) = decode(&damaged) {
                decoded.each_string(&mut |_| ());
            }
        }
    }
    assert!(refused > 1000, "only {refused} of 23 640 damaged replies were refused");
}

#[test]
fn what_no_daemon_sends_is_refused() {
    let cases: [(&str, &[u8]); 14] = [
        ("nothing on the stack", b"."),
        ("empty", b""),
        ("tuple of nothing", b"\x80\x02\x86."),
        ("mark missing", b"\x80\x02]e."),
        ("append to a text", b"\x80\x02U\x01aNa."),
        ("key without value", b"\x80\x02}(Nu."),
        ("memo never filled", b"\x80\x02h\x07."),
        ("call of nothing", b"\x80\x02R."),
        ("a call of a name that is no text", b"\x80\x02NN\x93."),
        ("persistent id", b"\x80\x02Q."),
        ("extension code", b"\x80\x02\x82\x01."),
        ("4 GiB text announced", b"\x80\x02X\xff\xff\xff\xffabc."),
        ("2^63 bytes announced", b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc."),
        ("pop below a mark", b"\x80\x02N(0."),
    ];
    for (what, bytes) in cases {
        assert!(value(bytes).is_err(), "{what}");
    }
    assert_eq!(value(b"N.N."), Err(PickleError::Trailing));
    let mut endless = b"c".to_vec();
    endless.resize(1 << 20, b'x');
    assert_eq!(opcode::Framer::default().end(&endless), Err(b'c'));
}

#[test]
fn a_named_function_is_never_called() {
    let system = value(b"\x80\x02cos\nsystem\nU\x04true\x85R.").unwrap();
    assert_eq!(repr(&system), "<os.system('true',)>");
    // `str` alone is evaluated, and only of text.
    assert_eq!(value(b"\x80\x02cbuiltins\nstr\nU\x04text\x85R.").unwrap(), Value::from("text"));
    assert_eq!(value(b"\x80\x02c__builtin__\nunicode\nU\x04text\x85R.").unwrap(), Value::from("text"));
    assert_eq!(repr(&value(b"\x80\x02cbuiltins\nstr\nK\x05\x85R.").unwrap()), "<builtins.str(5,)>");
}

#[test]
fn a_deep_nest_is_refused_without_recursion() {
    let mut bytes = vec![0x80, 2];
    bytes.resize(1_000_000, b']');
    bytes.resize(1_999_000, b'a');
    bytes.push(b'.');
    assert_eq!(value(&bytes), Err(PickleError::TooMuch));
    // A list that is its own member.
    assert_eq!(value(b"\x80\x02]q\x00h\x00a."), Err(PickleError::TooMuch));
}

#[test]
fn a_memo_bomb_is_refused() {
    // Thirty lists, each of which holds the one before ten times.
    let mut bytes = b"\x80\x02]q\x00".to_vec();
    for level in 0..30u8 {
        bytes.extend_from_slice(b"](");
        for _ in 0..10 {
            bytes.extend_from_slice(&[b'h', level]);
        }
        bytes.extend_from_slice(&[b'e', b'q', level + 1]);
    }
    bytes.push(b'.');
    assert_eq!(value(&bytes), Err(PickleError::TooMuch));
    // One megabyte of text, a thousand times.
    let mut bytes = b"\x80\x02X\x00\x00\x10\x00".to_vec();
    bytes.resize(bytes.len() + (1 << 20), b'x');
    bytes.extend_from_slice(b"q\x00(");
    bytes.extend(b"h\x00".repeat(1000));
    bytes.extend_from_slice(b"l.");
    assert_eq!(value(&bytes), Err(PickleError::TooMuch));
    // A memo index of four thousand million.
    assert_eq!(value(b"\x80\x02Nr\xff\xff\xff\xff."), Err(PickleError::TooMuch));
    // More nodes than any daemon has bans.
    let mut bytes = vec![b'('];
    bytes.resize(2_100_000, b'N');
    bytes.extend_from_slice(b"l.");
    assert_eq!(value(&bytes), Err(PickleError::TooMuch));
    // More copies of one node than that.
    let mut bytes = b"Nq\x00(".to_vec();
    bytes.extend(b"h\x00".repeat(6_100_000));
    bytes.extend_from_slice(b"l.");
    assert_eq!(value(&bytes), Err(PickleError::TooMuch));
}

#[test]
fn numbers_of_every_size_decode() {
    for (bytes, expected) in [
        (&b"K\xff."[..], "255"),
        (b"M\xff\xff.", "65535"),
        (b"J\xff\xff\xff\xff.", "-1"),
        (b"\x8a\x00.", "0"),
        (b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", "-9223372036854775808"),
        (b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.", "9223372036854775808"),
        (b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\xff.", "-9223372036854775809"),
        (b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\xff.", "-1"),
        (b"I01\n.", "True"),
        (b"I-7\n.", "-7"),
        (b"L12L\n.", "12"),
    ] {
        assert_eq!(repr(&value(bytes).unwrap()), expected);
    }
    let mut huge = vec![0x8b, 0, 1, 0, 0];
    huge.resize(5 + 256, 1);
    huge.push(b'.');
    assert_eq!(value(&huge), Err(PickleError::TooMuch));
}

#[test]
fn undecodable_text_is_kept_as_far_as_it_goes() {
    assert_eq!(value(b"X\x04\x00\x00\x00a\xed\xb3\xbf.").unwrap().as_str().unwrap().chars().next(), Some('a'));
    assert_eq!(value(b"U\x02\xffb.").unwrap(), Value::from("\u{fffd}b"));
}

#[test]
fn a_file_of_ignored_addresses_is_shown_by_its_name() {
    let bytes = b"\x80\x02cfail2ban.server.ipdns\nFileIPAddrSet\n]\x85R}(U\x08fileNameU\x04/a/bU\x09hasSubNetK\x00ub.";
    assert_eq!(value(bytes).unwrap(), Value::from("file:/a/b"));
}

#[test]
fn strings_are_visited_without_values() {
    let strings = |bytes: &[u8]| {
        let mut found = Vec::new();
        decode(bytes).unwrap().each_string(&mut |text| found.push(text.to_owned())).then_some(found)
    };
    let (_, _, bytes) = replies().find(|(_, value, _)| value.starts_with("(0, ['2001:db8")).unwrap();
    let found = strings(&bytes).unwrap();
    let payload = value(&bytes).unwrap();
    assert_eq!(payload.items().unwrap()[1].texts().unwrap(), found);
    assert!(found.len() > 3);
    let (_, _, error) = replies().find(|(_, value, _)| value.starts_with("(1, <")).unwrap();
    assert_eq!(strings(&error), None);
    let (_, _, pong) = replies().find(|(_, value, _)| *value == "(0, 'pong')").unwrap();
    assert_eq!(strings(&pong), None);
}

#[test]
fn what_is_encoded_decodes_to_itself() {
    let command = Value::List(vec![
        Value::from("reload"),
        Value::List(vec![]),
        Value::Tuple(vec![Value::None, Value::Bool(true), Value::Bool(false)]),
        Value::List(vec![Value::Int(-1), Value::Int(1 << 40), Value::Int(i64::MIN), Value::Float(0.5)]),
        Value::Dict(vec![(Value::from("stacksize"), Value::Int(0))]),
        Value::from("äöü€😀\0"),
    ]);
    let bytes = encode::encode(&command).unwrap();
    let pickle = bytes.strip_suffix(encode::TERMINATOR).unwrap();
    assert_eq!(value(pickle).unwrap(), command);
    let words = encode::encode_words(&["set", "sshd", "banip", "192.0.2.1"]).unwrap();
    let list = Value::List(["set", "sshd", "banip", "192.0.2.1"].map(Value::from).to_vec());
    assert_eq!(value(words.strip_suffix(encode::TERMINATOR).unwrap()).unwrap(), list);
}

#[test]
fn a_terminator_inside_a_request_is_refused() {
    let evil = "x<F2B_END_COMMAND>y";
    assert_eq!(encode::encode_words(&["ping", evil]), Err(encode::EncodeError::Terminator));
    assert_eq!(encode::encode(&Value::from(evil)), Err(encode::EncodeError::Terminator));
    assert!(encode::encode(&Value::Bytes(vec![1])).is_err());
}
