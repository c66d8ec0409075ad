//! Listeners: names and addresses, each given once.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::super::draft::{ListenerDraft, Located};
use super::super::errors::Report;
use super::super::problem::Problem;
use super::{called, values};
use crate::accept::ListenerSettings;

/// Which listener binds an address.
pub(super) type Owners = HashMap<SocketAddr, String>;

/// All listeners, in the order of the file; `None` for a broken one.
pub(super) struct Built {
    pub(super) settings: Vec<Option<ListenerSettings>>,
    pub(super) index: HashMap<String, usize>,
    pub(super) owners: Owners,
}

/// Builds every listener.
pub(super) fn build(drafts: &[ListenerDraft], report: &mut Report) -> Built {
    let mut built = Built {
        settings: Vec::new(),
        index: HashMap::new(),
        owners: HashMap::new(),
    };
    let mut lines = HashMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        let name = values::identifier(&draft.name, report);
        // A bad one still is what routes mean: one mistake is one error.
        if let Some(name) = draft.name.given() {
            if let Some(first_line) = lines.insert(name.value.clone(), name.at.line) {
                let value = name.value.clone();
                report.error(
                    &name.at,
                    Problem::Duplicate {
                        what: "listener",
                        value,
                        first_line,
                    },
                );
            }
            built.index.entry(name.value.clone()).or_insert(index);
        }
        let label = called(&draft.name, &draft.at);
        let addresses = addresses(draft, label, &mut built.owners, report);
        let settings = name
            .zip(addresses)
            .map(|(name, addresses)| ListenerSettings {
                name: name.value.clone(),
                addresses,
            });
        built.settings.push(settings);
    }
    built
}

fn addresses(
    draft: &ListenerDraft,
    label: &str,
    owners: &mut Owners,
    report: &mut Report,
) -> Option<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for text in &draft.listen.given()?.value {
        let Some(address) = address(text, report) else {
            continue;
        };
        if let Some(owner) = owners.get(&address) {
            let owner = format!("listener \"{owner}\"");
            report.error(&text.at, Problem::AddressTaken { address, owner });
            continue;
        }
        owners.insert(address, label.to_owned());
        addresses.push(address);
    }
    Some(addresses)
}

/// An address to bind: an IP address and a fixed port.
pub(super) fn address(text: &Located<String>, report: &mut Report) -> Option<SocketAddr> {
    let Ok(address) = text.value.parse::<SocketAddr>() else {
        report.error(
            &text.at,
            Problem::BadAddress {
                given: text.value.clone(),
            },
        );
        return None;
    };
    if address.port() == 0 {
        report.error(&text.at, Problem::PortZero);
        return None;
    }
    // Sockets are bound IPv6-only: this one would bind and never hear anything.
    if let IpAddr::V6(v6) = address.ip()
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        report.error(
            &text.at,
            Problem::MappedAddress(SocketAddr::from((v4, address.port()))),
        );
        return None;
    }
    Some(address)
}
