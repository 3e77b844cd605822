//! Asks ip-api.com, or a server that speaks like it, where addresses are, in a child. It is a stranger who learns who was banned here, so
//! nobody is asked unless the settings say so; its answers are checked like any input.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::history::{Country, Place};
use crate::domain::json;
use crate::fetch::{self, FetchError, Reply, Rules};
use crate::geo::file::{asn_text, short_org};
use crate::machine;

/// What is asked about each address.
const FIELDS: &str = "fields=status,countryCode,as,org,isp,query";
/// The longest answer, in bytes: a hundred addresses of a few hundred bytes each.
const BYTES: u64 = 256 * 1024;
/// How long all of it may take.
const TIME: Duration = Duration::from_secs(15);
/// How long a server that is asked too often is left alone when it does not say, in seconds.
const REST: u64 = 60;

/// Ask about some addresses.
#[derive(Debug, Serialize, Deserialize)]
pub struct AskPlaces {
    /// The server.
    pub url: String,
    /// It may be one that is not public.
    pub allow_private: bool,
    /// At most a hundred.
    pub addresses: Vec<String>,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What was said of each address, in their order; empty where the server did not answer properly.
    pub places: Vec<Option<Place>>,
    /// Seconds for which the server wishes not to be asked.
    pub rest: u64,
    /// Why it did not answer properly; none where it did, or has merely been asked too often.
    pub trouble: Option<String>,
}

impl AskPlaces {
    /// A `Told`: that the server cannot be reached is one, too.
    pub fn run(self) -> Value {
        let told = self.ask().unwrap_or_else(|error| Told { trouble: Some(error.to_string()), ..Told::default() });
        json!(told)
    }

    fn ask(&self) -> Result<Told, FetchError> {
        let mark = if self.url.contains('?') { '&' } else { '?' };
        let rules = Rules {
            allow_private: self.allow_private,
            own: machine::own_addresses(),
            bytes: BYTES,
            time: TIME,
            authorities: None,
        };
        let body = json!(self.addresses).to_string();
        let reply = fetch::post(&format!("{}{mark}{FIELDS}", self.url), body.as_bytes(), &rules)?;
        Ok(read(&reply, &self.addresses))
    }
}

fn read(reply: &Reply, addresses: &[String]) -> Told {
    let window = reply.number("x-ttl");
    match reply.status {
        200 => {}
        429 => return Told { rest: window.unwrap_or(REST), ..Told::default() },
        status => {
            let trouble = Some(FetchError::Status { status, retry_after: None }.to_string());
            return Told { trouble, ..Told::default() };
        }
    }
    let rest = if reply.number("x-rl") == Some(0) { window.unwrap_or(REST) } else { 0 };
    match json::read(&reply.body) {
        Ok(Value::Array(entries)) if entries.len() == addresses.len() => {
            let places = entries.iter().zip(addresses).map(|(entry, asked)| place(entry, asked)).collect();
            Told { places, rest, trouble: None }
        }
        _ => Told { rest, trouble: Some("it answers something else than places".to_owned()), ..Told::default() },
    }
}

/// Where an address is; `None` where the server does not know, or speaks of another one.
fn place(entry: &Value, asked: &str) -> Option<Place> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let country: Country = text("countryCode").parse().ok()?;
    let asn = text("as").split(' ').next().and_then(asn_text);
    let org = short_org(text("org")).or_else(|| short_org(text("isp")));
    (text("status") == "success" && text("query") == asked).then_some(Place { country: Some(country), asn, org })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_an_address_is_checked() {
        let said = |text: &str| place(&json::read(text).unwrap(), "5.6.7.8");
        let whole = r#"{"status":"success","countryCode":"DE","as":"AS3320 Deutsche Telekom AG","org":"","isp":"Telekom","query":"5.6.7.8"}"#;
        let germany = Place { country: "DE".parse().ok(), asn: Some("AS3320".into()), org: Some("Telekom".into()) };
        assert_eq!(said(whole), Some(germany.clone()));
        let long = whole.replace("Telekom\",", &format!("{}\",", "x".repeat(300)));
        assert_eq!(said(&long), Some(Place { org: None, ..germany.clone() }));
        assert_eq!(said(&whole.replace("AS3320", "a network")), Some(Place { asn: None, ..germany }));
        for other in [
            whole.replace("success", "fail"),
            whole.replace("DE", "de"),
            whole.replace("DE", ""),
            whole.replace("5.6.7.8", "5.6.7.9"),
            r#"{"status":"fail","message":"private range"}"#.to_owned(),
            "{}".to_owned(),
        ] {
            assert_eq!(said(&other), None, "{other}");
        }
    }
}
