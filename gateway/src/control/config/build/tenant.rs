//! Tenants: names, certificates, who their clients are, and their keyrings.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use rustls::pki_types::DnsName;
use sealgate_keys::Keyring;

use super::super::draft::{Field, Located, TenantDraft};
use super::super::errors::Report;
use super::super::pem::{self, Files};
use super::super::problem::{Problem, Warning};
use super::route::Kind;
use super::{called, values};
use crate::tenant::{ClientAuth, DefaultTenant, NamePattern, TenantSettings};

/// All tenants, in the order of the file; `None` for a broken one.
pub(super) struct Built {
    pub(super) settings: Vec<Option<TenantSettings>>,
    pub(super) index: HashMap<String, usize>,
}

/// Builds every tenant and loads its files.
pub(super) fn build(drafts: &[TenantDraft], files: &Files<'_>, report: &mut Report) -> Built {
    let mut built = Built {
        settings: Vec::new(),
        index: HashMap::new(),
    };
    let mut lines = HashMap::new();
    let mut owners = HashMap::new();
    let mut first_default: Option<&str> = None;
    for (index, draft) in drafts.iter().enumerate() {
        let id = values::identifier(&draft.id, report);
        // A bad one still is what routes mean: one mistake is one error.
        if let Some(id) = draft.id.given() {
            if let Some(first_line) = lines.insert(id.value.clone(), id.at.line) {
                let value = id.value.clone();
                report.error(
                    &id.at,
                    Problem::Duplicate {
                        what: "tenant",
                        value,
                        first_line,
                    },
                );
            }
            built.index.entry(id.value.clone()).or_insert(index);
        }
        let default = default(draft, &mut first_default, report);
        let names = names(draft, index, drafts, &mut owners, report);
        let certificate = certificate(draft, &names, files, report);
        let client_auth = client_auth(draft, files, report);
        let keyring = keyring(draft, files, report);
        built
            .settings
            .push(id.zip(certificate).zip(client_auth).zip(keyring).map(
                |(((id, certificate), client_auth), keyring)| TenantSettings {
                    id: id.value.clone(),
                    names,
                    default,
                    certificate,
                    client_auth,
                    keyring,
                },
            ));
    }
    built
}

fn default<'a>(
    draft: &'a TenantDraft,
    first: &mut Option<&'a str>,
    report: &mut Report,
) -> DefaultTenant {
    let Some(Located { value: true, at }) = draft.default.given() else {
        return DefaultTenant::No;
    };
    match first {
        Some(first) => report.error(
            at,
            Problem::SecondDefault {
                first: (*first).to_owned(),
            },
        ),
        None => *first = Some(called(&draft.id, &draft.at)),
    }
    DefaultTenant::Yes
}

fn names(
    draft: &TenantDraft,
    index: usize,
    drafts: &[TenantDraft],
    owners: &mut HashMap<NamePattern, usize>,
    report: &mut Report,
) -> Vec<NamePattern> {
    let texts = match &draft.names {
        Field::Given(texts) => texts.value.as_slice(),
        Field::Broken => &[],
        Field::Absent => {
            if draft.default.is_absent()
                || draft.default.given().is_some_and(|default| !default.value)
            {
                report.error(&draft.at, Problem::NoNames);
            }
            &[]
        }
    };
    let mut names = Vec::with_capacity(texts.len());
    for text in texts {
        let name = match name(&text.value) {
            Ok(name) => name,
            Err(problem) => {
                report.error(&text.at, problem);
                continue;
            }
        };
        match owners.get(&name) {
            None => {
                owners.insert(name.clone(), index);
                names.push(name);
            }
            Some(owner) => {
                let owner = &drafts[*owner];
                let tenant = called(&owner.id, &owner.at).to_owned();
                report.error(
                    &text.at,
                    Problem::NameTaken {
                        name: text.value.clone(),
                        tenant,
                    },
                );
            }
        }
    }
    names
}

/// A name as the ClientHello will carry it.
fn name(text: &str) -> Result<NamePattern, Problem> {
    let given = text.to_owned();
    let lower = text.to_ascii_lowercase();
    if lower.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err(Problem::NameIsAddress { given });
    }
    let (base, is_wildcard) = match lower.strip_prefix("*.") {
        Some(base) => (base, true),
        None => (lower.as_str(), false),
    };
    if base.contains('*') {
        return Err(Problem::BadWildcard { given });
    }
    if base.ends_with('.') || DnsName::try_from(base).is_err() {
        return Err(Problem::BadName { given });
    }
    let base = base.to_owned();
    Ok(if is_wildcard {
        NamePattern::Wildcard(base)
    } else {
        NamePattern::Exact(base)
    })
}

/// `Some(None)`: none is configured.
fn certificate(
    draft: &TenantDraft,
    names: &[NamePattern],
    files: &Files<'_>,
    report: &mut Report,
) -> Option<Option<std::sync::Arc<rustls::sign::CertifiedKey>>> {
    pem::certified_key(
        &draft.certificate,
        &draft.key,
        ["certificate", "key"],
        names,
        files,
        report,
    )
}

fn client_auth(draft: &TenantDraft, files: &Files<'_>, report: &mut Report) -> Option<ClientAuth> {
    const MODES: &[&str] = &["none", "optional", "required"];
    let mode = match &draft.client_auth {
        Field::Absent => Some("none"),
        Field::Broken => None,
        Field::Given(given) => values::choice(given, MODES, MODES, report),
    };
    // The roots are read also where the mode is wrong: their errors count too.
    let roots = draft
        .client_ca
        .given()
        .map(|ca| pem::roots(ca, files, report));
    let mode = mode?;
    let Some(roots) = roots else {
        if mode == "none" {
            return draft.client_ca.is_absent().then_some(ClientAuth::None);
        }
        if let (true, Some(given)) = (draft.client_ca.is_absent(), draft.client_auth.given()) {
            report.error(
                &given.at,
                Problem::AuthWithoutCa {
                    mode: mode.to_owned(),
                },
            );
        }
        return None;
    };
    match mode {
        "optional" => roots.map(ClientAuth::Optional),
        "required" => roots.map(ClientAuth::Required),
        _ => {
            if let Some(ca) = draft.client_ca.given() {
                report.error(&ca.at, Problem::CaWithoutAuth);
            }
            None
        }
    }
}

/// Where the keyring is. It is loaded to see that it can be, and dropped again: the cache has its own.
fn keyring(draft: &TenantDraft, files: &Files<'_>, report: &mut Report) -> Option<Option<PathBuf>> {
    let given = match &draft.keyring {
        Field::Absent => return Some(None),
        Field::Broken => return None,
        Field::Given(given) => given,
    };
    let path = files.path(&given.value);
    let keyring = match Keyring::load(&path) {
        Ok(keyring) => keyring,
        // A tenant whose keys were taken away must not keep the others from starting.
        Err(error) if error.fault.is_refusal() => {
            report.warn(&given.at, Warning::KeyringWithdrawn { error });
            return Some(Some(path));
        }
        Err(error) => {
            report.error(&given.at, Problem::Keyring(error));
            return None;
        }
    };
    // Two tenants under one keyring would open each other's messages.
    if let Some(id) = draft.id.given()
        && id.value != keyring.tenant()
    {
        let (file, owner) = (given.value.clone(), keyring.tenant().to_owned());
        let tenant = id.value.clone();
        report.error(
            &given.at,
            Problem::KeyringOfOther {
                file,
                owner,
                tenant,
            },
        );
        return None;
    }
    Some(Some(path))
}

/// What the tenant's routes leave without a use.
pub(super) fn warn_of_unused(draft: &TenantDraft, kinds: &[Kind], report: &mut Report) {
    let Some(tenant) = draft.id.given().map(|id| id.value.clone()) else {
        return;
    };
    if kinds.is_empty() {
        report.warn(&draft.at, Warning::TenantWithoutRoute { tenant });
        return;
    }
    if kinds.iter().all(|kind| *kind == Kind::TcpPassthrough) {
        match draft.client_auth.given() {
            // Whoever wrote this believes that clients are authenticated.
            Some(auth) if auth.value != "none" => {
                report.error(
                    &auth.at,
                    Problem::AuthWithPassthrough {
                        tenant: tenant.clone(),
                    },
                );
            }
            _ => {}
        }
        if let Some(certificate) = draft.certificate.given() {
            report.warn(
                &certificate.at,
                Warning::CertificateUnused {
                    tenant: tenant.clone(),
                },
            );
        }
    }
    if let (false, Some(keyring)) = (kinds.contains(&Kind::HttpSealed), draft.keyring.given()) {
        report.warn(&keyring.at, Warning::KeyringUnused { tenant });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowered_and_only_whole_leading_labels_are_wild() {
        assert_eq!(
            name("ACME.Example").ok(),
            Some(NamePattern::Exact("acme.example".to_owned()))
        );
        assert_eq!(
            name("*.Acme.example").ok(),
            Some(NamePattern::Wildcard("acme.example".to_owned()))
        );
        assert_eq!(
            name("xn--bcher-kva.example").ok(),
            Some(NamePattern::Exact("xn--bcher-kva.example".to_owned()))
        );
        for bad in ["*", "*.", "a*.example", "a.*.example", "*.*.example"] {
            assert!(name(bad).is_err(), "{bad}");
        }
        for bad in [
            "",
            ".",
            "acme.example.",
            "-a.example",
            "a..b",
            "büch.example",
            "a b",
            "1.2.3",
        ] {
            assert!(matches!(name(bad), Err(Problem::BadName { .. })), "{bad}");
        }
        for address in ["127.0.0.1", "::1", "[::1]"] {
            assert!(
                matches!(name(address), Err(Problem::NameIsAddress { .. })),
                "{address}"
            );
        }
    }
}
