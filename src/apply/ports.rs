//! Says where a change has a jail close a port that is another service's, and leave its own open: a slip that nothing else would show, since
//! every part of it is right by itself. What really listens on a port is not looked at.

use std::collections::BTreeSet;

use super::effective::Effective;
use crate::conf::JailView;
use crate::domain::packet::{Port, ports};

/// The names of services that this system knows.
const SERVICES: &str = "/etc/services";
/// A range of more ports than this is no service's.
const WIDEST: u16 = 100;

/// Names of services and their ports, as far as the system knows them.
pub struct Services(Vec<(String, u16)>);

impl Services {
    /// Those of this system; none where it has no list.
    pub fn load() -> Services {
        let text = std::fs::read_to_string(SERVICES).unwrap_or_default();
        let line = |line: &str| -> Vec<(String, u16)> {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let (Some(name), Some(port)) = (words.next(), words.next()) else { return Vec::new() };
            let Some(port) = port.split('/').next().and_then(|port| port.parse().ok()) else { return Vec::new() };
            std::iter::once(name).chain(words).map(|name| (name.to_owned(), port)).collect()
        };
        Services(text.lines().flat_map(line).collect())
    }

    /// The ports of a jail; none where it closes whole ranges, or is not understood.
    fn of(&self, view: &JailView) -> BTreeSet<u16> {
        let text = Effective { view }.values().port.unwrap_or_default();
        let mut found = BTreeSet::new();
        for port in ports(&text).unwrap_or_default() {
            match port {
                Port::Range(first, last) if last - first < WIDEST => found.extend(first..=last),
                Port::Range(..) => return BTreeSet::new(),
                Port::Service(name) => {
                    found.extend(self.0.iter().filter(|(own, _)| *own == name).map(|(_, port)| *port))
                }
            }
        }
        found
    }
}

/// What is to be said of the ports that a jail would close, a sentence each.
pub fn warnings(before: Option<&JailView>, after: &JailView, others: &[JailView], services: &Services) -> Vec<String> {
    let text = |view: &JailView| Effective { view }.values().port;
    let Some(new) = text(after).filter(|new| before.and_then(text).as_ref() != Some(new)) else { return Vec::new() };
    let name = &after.name;
    let mut told = Vec::new();
    for port in ports(&new).unwrap_or_default() {
        if let Port::Service(service) = port
            && !services.0.is_empty()
            && !services.0.iter().any(|(own, _)| *own == service)
        {
            told.push(format!("Jail {name}: {SERVICES} has no service '{service}', so that the packet filter would refuse it; give its number."));
        }
    }
    let filter = |view: &JailView| view.filter.as_ref().map(|called| called.name.clone());
    let alike = others.iter().filter(|view| view.name != after.name && filter(view) == filter(after));
    let own: BTreeSet<u16> = before.into_iter().chain(alike).flat_map(|view| services.of(view)).collect();
    let wanted = services.of(after);
    if own.is_empty() || wanted.is_empty() || !own.is_disjoint(&wanted) {
        return told;
    }
    let other = others.iter().find(|view| {
        view.name != after.name && filter(view) != filter(after) && !services.of(view).is_disjoint(&wanted)
    });
    told.extend(other.map(|other| {
        format!(
            "Jail {name} would close port {new}, which is what jail {} protects, and leave open what it has closed until now{}.",
            other.name,
            before.and_then(text).map(|old| format!(" ({old})")).unwrap_or_default()
        )
    }));
    told
}
