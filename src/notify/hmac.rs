//! HMAC-SHA-256 (RFC 2104), for the signature of a webhook. Nothing is compared here.

use sha2::{Digest, Sha256};

use crate::domain::hex::hex as digits;

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// The code of `text` under `key`, as hexadecimal digits.
pub fn hex(key: &[u8], text: &[u8]) -> String {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let keyed = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(keyed(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(keyed(0x5c)).chain_update(inner).finalize();
    digits(&outer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_rfc_4231() {
        for (key, text, code) in [
            (&[0x0b; 20][..], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(key, text), code);
        }
    }
}
