//! Whom to trust over https, and with which cryptography: ring's, as rustls brings it, without what signs.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::FetchError;

/// Loads no key. We never identify ourselves by a certificate; without what loads keys, what signs with them is not in the program.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("no keys are used here".to_owned()))
    }
}

/// How https is spoken, with the authorities of a file or those that are built in.
pub fn config(authorities_file: Option<&Path>) -> Result<TlsConfig, FetchError> {
    let provider = CryptoProvider { key_provider: &NoKeys, ..ring::default_provider() };
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .root_certs(authorities(authorities_file)?)
        .build())
}

/// The authorities of a file in PEM form; without one those that are built in. Nothing is ever trusted without any.
fn authorities(file: Option<&Path>) -> Result<RootCerts, FetchError> {
    let Some(file) = file else { return Ok(RootCerts::WebPki) };
    let unusable = |why: &dyn fmt::Display| {
        FetchError::Untrusted(format!("the authorities of BANGUI_BLOCKLIST_CA_FILE, {}: {why}", file.display()))
    };
    let pem = std::fs::read(file).map_err(|error| unusable(&error))?;
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
