//! Decimal digits of all scripts, which Python reads as numbers: `int("١٢")` is 12.
//!
//! The table is Unicode 14's, that of Python 3.11; scripts that came later have no digits here.

use std::borrow::Cow;

/// The zeros of all scripts but ASCII's; the other nine digits follow each.
const ZEROS: [u32; 65] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
    0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
    0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// The text with every decimal digit in ASCII.
pub fn in_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(digit_in_ascii).collect())
}

fn digit_in_ascii(letter: char) -> char {
    let code = letter as u32;
    let above = ZEROS.partition_point(|zero| *zero <= code);
    let value = above.checked_sub(1).map(|place| code - ZEROS[place]).filter(|value| *value < 10);
    value.and_then(|value| char::from_digit(value, 10)).unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use super::in_ascii;

    #[test]
    fn digits_of_every_script_are_read() {
        assert_eq!(in_ascii("2005-٠٨-１４ ۹٩:𝟗"), "2005-08-14 99:9");
        assert_eq!(in_ascii("²½①五é"), "²½①五é");
    }
}
