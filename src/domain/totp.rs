//! One-time passwords by time (RFC 6238): six digits, steps of 30 seconds, HMAC-SHA-1, which is what every authenticator takes. And the
//! recovery codes that stand in for a lost one. What was used already is for others to know.

use ring::hmac;

/// Seconds of a step.
pub const STEP: i64 = 30;
/// Steps before and after the present one whose code is taken: clocks differ, and typing takes time.
const SKEW: i64 = 1;
/// Random bytes of a secret: 160 bits, as RFC 4226 recommends.
pub const SECRET_BYTES: usize = 20;
/// Random bytes of a recovery code: 80 bits, which nobody tries out, so that a plain hash keeps it.
pub const RECOVERY_BYTES: usize = 10;
/// Characters of a recovery code, without what stands between them.
const RECOVERY_LENGTH: usize = RECOVERY_BYTES * 8 / 5;
/// How many recovery codes there are.
pub const RECOVERY_CODES: usize = 10;

/// RFC 4648.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What somebody has typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// Six digits of an authenticator.
    Totp(u32),
    /// A recovery code, as it is hashed.
    Recovery(String),
}

impl Typed {
    /// Blanks and hyphens, which people put between groups, do not count, nor does the case. `None`: it is neither.
    pub fn of(text: &str) -> Option<Typed> {
        let kept = text.chars().filter(|character| !matches!(character, ' ' | '-')).take(RECOVERY_LENGTH + 1);
        let code: String = kept.collect::<String>().to_ascii_uppercase();
        if code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()) {
            return code.parse().ok().map(Typed::Totp);
        }
        let is_recovery = code.len() == RECOVERY_LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte));
        is_recovery.then_some(Typed::Recovery(code))
    }
}

/// The step whose code this is, about `now` in Unix seconds.
pub fn step_of(secret: &[u8], code: u32, now: i64) -> Option<i64> {
    let present = now.div_euclid(STEP);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    // Each is looked at, so that the time taken tells nothing.
    let steps = (present - SKEW..=present + SKEW).map(|step| (step, code_of(&key, step) ^ code));
    steps.fold(None, |found, (step, differs)| if differs == 0 { Some(step) } else { found })
}

/// RFC 4226, 5.3.
fn code_of(key: &hmac::Key, step: i64) -> u32 {
    let mac = hmac::sign(key, &step.to_be_bytes());
    let mac = mac.as_ref();
    let at = usize::from(mac.last().copied().unwrap_or(0) & 15);
    let number = mac[at..at + 4].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    (number & 0x7fff_ffff) % 1_000_000
}

/// The address that an authenticator reads from a QR code.
pub fn uri(secret: &[u8], user: &str, host: &str) -> String {
    let host: String =
        host.chars().filter(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '.')).collect();
    let issuer = if host.is_empty() { "bangui".to_owned() } else { format!("bangui%20{host}") };
    // A user's name has no other character that means something there.
    let user = user.replace('@', "%40");
    format!("otpauth://totp/{issuer}:{user}?secret={}&issuer={issuer}", base32(secret))
}

/// A recovery code as people read it: `ABCD-EFGH-IJKL-MNOP`.
pub fn recovery_code(bytes: &[u8; RECOVERY_BYTES]) -> String {
    let code = base32(bytes);
    let groups: Vec<&str> = (0..code.len()).step_by(4).map(|at| &code[at..(at + 4).min(code.len())]).collect();
    groups.join("-")
}

/// RFC 4648, without padding: as authenticators take it.
pub fn base32(bytes: &[u8]) -> String {
    let (mut text, mut held, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        (held, bits) = (held << 8 | u32::from(*byte), bits + 8);
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(held << (5 - bits) & 31) as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        let secret = b"12345678901234567890";
        // Appendix B has eight digits; the last six are those of six.
        for (time, code) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            assert_eq!(step_of(secret, code, time), Some(time / STEP), "{time}");
            assert_eq!(step_of(secret, code, time + STEP), Some(time / STEP), "one step late");
            assert_eq!(step_of(secret, code, time - STEP), Some(time / STEP), "one step early");
            assert_eq!(step_of(secret, code, time + 2 * STEP), None);
            assert_eq!(step_of(secret, code + 1, time), None);
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let recovery = recovery_code(&[7; RECOVERY_BYTES]);
        assert_eq!(recovery.len(), 19, "{recovery}");
        assert_eq!(Typed::of(&recovery.to_lowercase()), Typed::of(&recovery.replace('-', " ")));
        assert!(matches!(Typed::of(&recovery), Some(Typed::Recovery(_))));
        assert_eq!(Typed::of(" 012 345"), Some(Typed::Totp(12_345)));
        for wrong in ["", "12345", "1234567", "１２３４５６", "ABCD-EFGH", "0000-0000-0000-0000", &"A".repeat(100_000)]
        {
            assert_eq!(Typed::of(wrong), None, "{}", &wrong[..wrong.len().min(20)]);
        }
    }

    #[test]
    fn an_authenticator_is_told_whose_and_which_machine() {
        assert_eq!(
            uri(b"foobafooba", "eve@home", "router.lan"),
            "otpauth://totp/bangui%20router.lan:eve%40home?secret=MZXW6YTBMZXW6YTB&issuer=bangui%20router.lan"
        );
        assert!(uri(b"f", "eve", "").starts_with("otpauth://totp/bangui:eve?"));
    }
}
