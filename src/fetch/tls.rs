//! Whom to trust over https, and with which cryptography: ring's, as rustls brings it, without what signs and what nobody insists on.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::{cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{SignatureScheme, SupportedCipherSuite};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use webpki::ring as verify;

use super::error::FetchError;

/// Those of rustls but ChaCha20: AES-128-GCM is what TLS 1.3 demands of every server (RFC 8446, 9.1) and what is recommended for TLS 1.2 (RFC
/// 9325, 4.2). Without it, and without what signs, the x86_64 program is 59 kB smaller.
const CIPHER_SUITES: [SupportedCipherSuite; 6] = [
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// As rustls has it for ring. For TLS 1.2 a scheme does not fix the curve.
static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        verify::ECDSA_P256_SHA256,
        verify::ECDSA_P256_SHA384,
        verify::ECDSA_P384_SHA256,
        verify::ECDSA_P384_SHA384,
        verify::ED25519,
        verify::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        verify::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        verify::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        verify::RSA_PKCS1_2048_8192_SHA256,
        verify::RSA_PKCS1_2048_8192_SHA384,
        verify::RSA_PKCS1_2048_8192_SHA512,
        verify::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        verify::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        verify::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ],
    mapping: &[
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[verify::ECDSA_P384_SHA384, verify::ECDSA_P256_SHA384]),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[verify::ECDSA_P256_SHA256, verify::ECDSA_P384_SHA256]),
        (SignatureScheme::ED25519, &[verify::ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[verify::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[verify::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[verify::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[verify::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[verify::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[verify::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

/// Randomness of the kernel, and no key: we never identify ourselves by a certificate, and what signs with keys is not in the program.
#[derive(Debug)]
struct Kernel;

impl SecureRandom for Kernel {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        getrandom::fill(buffer).map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for Kernel {
    fn load_private_key(&self, _key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("no keys are used here".to_owned()))
    }
}

/// Has libraries that ask for the cryptography of the process use this one.
pub fn install() {
    // It stays where somebody was here before: it is the same one.
    let _ = provider().install_default();
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: CIPHER_SUITES.to_vec(),
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        signature_verification_algorithms: SIGNATURES,
        secure_random: &Kernel,
        key_provider: &Kernel,
    }
}

/// How https is spoken, with the authorities of a file or those that are built in.
pub fn config(authorities_file: Option<&Path>) -> Result<TlsConfig, FetchError> {
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(provider()))
        .root_certs(authorities(authorities_file)?)
        .build())
}

/// The authorities of a file in PEM form; without one those that are built in. Nothing is ever trusted without any.
fn authorities(file: Option<&Path>) -> Result<RootCerts, FetchError> {
    let Some(file) = file else { return Ok(RootCerts::WebPki) };
    let unusable = |why: &dyn fmt::Display| {
        FetchError::Untrusted(format!("the authorities of BANGUI_BLOCKLIST_CA_FILE, {}: {why}", file.display()))
    };
    let pem = crate::files::read(Path::new(file), 16 << 20).map_err(|error| unusable(&error))?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| unusable(&error))? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(unusable(&"no certificate in PEM form is in it"));
    }
    Ok(RootCerts::Specific(Arc::new(found)))
}

/// What of a failed handshake is about the certificate, in words that say what to do.
pub fn distrust(text: &str) -> Option<FetchError> {
    let (_, why) = text.split_once("invalid peer certificate: ")?;
    let hint = if why.contains("UnknownIssuer") {
        "nobody known has signed it; where it is of your own authority, name that with BANGUI_BLOCKLIST_CA_FILE"
    } else if why.contains("xpired") || why.contains("NotValidYet") || why.contains("not valid yet") {
        "it is not valid now; look at this machine's clock first"
    } else if why.contains("NotValidForName") || why.contains("not valid for name") {
        "it is another server's"
    } else {
        "it is of no use"
    };
    Some(FetchError::Untrusted(format!("{hint} ({why})")))
}
