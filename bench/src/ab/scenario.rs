//! Scenarios: which gateway configuration is loaded, in front of what, and how. One TOML file each,
//! in `bench/scenarios`, compiled in; a path names one of your own.

use std::{io, path::Path};

use serde::Deserialize;

use super::metric::Metric;
use crate::loadgen::Service;

/// The files that come with the program, by name.
const OWN: [(&str, &str); 9] = [
    ("bulk", include_str!("../../scenarios/bulk.toml")),
    (
        "re-encrypt",
        include_str!("../../scenarios/re-encrypt.toml"),
    ),
    ("echo", include_str!("../../scenarios/echo.toml")),
    (
        "handshakes",
        include_str!("../../scenarios/handshakes.toml"),
    ),
    (
        "http-small",
        include_str!("../../scenarios/http-small.toml"),
    ),
    (
        "sealed-put",
        include_str!("../../scenarios/sealed-put.toml"),
    ),
    (
        "sealed-get",
        include_str!("../../scenarios/sealed-get.toml"),
    ),
    (
        "idle-memory",
        include_str!("../../scenarios/idle-memory.toml"),
    ),
    (
        "many-tenants",
        include_str!("../../scenarios/many-tenants.toml"),
    ),
];

/// Most tenants of a scenario: a configuration of some megabytes.
const MOST_TENANTS: u32 = 10_000;

/// A scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its file's name without the ending.
    #[serde(skip)]
    pub name: String,
    /// What is done, for a reader.
    pub description: String,
    /// Words for `loadgen`, run against each gateway before it is measured.
    #[serde(default)]
    pub prepare: Vec<String>,
    /// What is behind the gateway.
    pub origin: Origin,
    /// How the gateway is configured.
    pub gateway: Gateway,
    /// What is done to it.
    pub load: Load,
}

/// What is behind the gateway: a service of `loadgen origin`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Which.
    pub service: Service,
    /// How it is spoken to.
    pub wire: Wire,
}

/// How the origin is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// Over TCP.
    Plain,
    /// Over TLS, with the same certificate as the gateway.
    Tls,
}

/// How the gateway is configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Its configuration, in which `{listen}`, `{upstream}`, `{certificate}`, `{key}` and
    /// `{keyring}` are filled in.
    pub config: String,
    /// Many tenants behind that.
    pub tenants: Option<Tenants>,
}

/// A part of the configuration for each of many tenants.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenants {
    /// How many.
    pub count: u32,
    /// The part, in which `{n}` counts from 1 too.
    pub config: String,
}

/// What is done to the gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// A subcommand of `loadgen`.
    pub operation: Operation,
    /// Its target, by name: the address is each gateway's own.
    pub url: String,
    /// Its other arguments.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// How long one gateway has the load at a time; loadgen's default where it says nothing.
    pub slice: Option<String>,
}

/// A subcommand of `loadgen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `loadgen ab request`.
    Request,
    /// `loadgen ab handshake`.
    Handshake,
    /// `loadgen ab bulk`.
    Bulk,
    /// `loadgen conns`: memory, one gateway after the other.
    Conns,
}

impl Operation {
    /// As `loadgen` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Handshake => "handshake",
            Self::Bulk => "bulk",
            Self::Conns => "conns",
        }
    }

    /// What revisions are compared by.
    pub fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Conns => &Metric::HELD,
            Self::Request | Self::Handshake | Self::Bulk => &Metric::SLICES,
        }
    }
}

/// A scenario is of no use. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No such name, and no file of a path.
    #[error("there is no scenario {0}; there are {known}, or write the path of a .toml file", known = names().join(", "))]
    Unknown(String),
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// Where.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// It is not what a scenario is.
    #[error("{name}: {error}")]
    Form {
        /// Which.
        name: String,
        /// What is wrong, where, and what would be right.
        error: toml::de::Error,
    },
    /// Too many tenants, or none.
    #[error("{name}: gateway.tenants.count is {count}; write 1 to {MOST_TENANTS}")]
    Tenants {
        /// Which.
        name: String,
        /// How many.
        count: u32,
    },
}

/// The names of the scenarios that come with the program.
pub fn names() -> Vec<&'static str> {
    OWN.iter().map(|(name, _)| *name).collect()
}

/// The scenario of a name, or of a path that ends in `.toml`.
///
/// # Errors
///
/// [`ScenarioError`].
pub fn find(name: &str) -> Result<Scenario, ScenarioError> {
    let path = Path::new(name);
    if path.extension().is_some_and(|ending| ending == "toml") {
        let text = std::fs::read_to_string(path).map_err(|error| ScenarioError::File {
            path: name.to_owned(),
            error,
        })?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        return parse(&stem, &text);
    }
    let own = OWN.iter().find(|(own, _)| *own == name);
    let (name, text) = own.ok_or_else(|| ScenarioError::Unknown(name.to_owned()))?;
    parse(name, text)
}

fn parse(name: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let mut scenario: Scenario = toml::from_str(text).map_err(|error| ScenarioError::Form {
        name: name.to_owned(),
        error,
    })?;
    name.clone_into(&mut scenario.name);
    match &scenario.gateway.tenants {
        Some(Tenants { count, .. }) if !(1..=MOST_TENANTS).contains(count) => {
            Err(ScenarioError::Tenants {
                name: name.to_owned(),
                count: *count,
            })
        }
        _ => Ok(scenario),
    }
}

/// What is filled into a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Filling<'a> {
    /// Where the gateway listens.
    pub listen: &'a str,
    /// Where the origin does.
    pub upstream: &'a str,
    /// The certificate of both, which is its own authority.
    pub certificate: &'a str,
    /// Its key.
    pub key: &'a str,
    /// A keyring of the tenant `bench`.
    pub keyring: &'a str,
}

impl Gateway {
    /// Whether it wants a keyring.
    pub fn seals(&self) -> bool {
        self.config.contains("{keyring}")
    }

    /// The configuration of one gateway.
    pub fn filled(&self, with: Filling<'_>) -> String {
        let fill = |text: &str| {
            text.replace("{listen}", with.listen)
                .replace("{upstream}", with.upstream)
                .replace("{certificate}", with.certificate)
                .replace("{key}", with.key)
                .replace("{keyring}", with.keyring)
        };
        let mut config = fill(&self.config);
        if let Some(tenants) = &self.tenants {
            let part = fill(&tenants.config);
            for n in 1..=tenants.count {
                config += &part.replace("{n}", &n.to_string());
            }
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_in_the_repository_is_known_and_loads() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let files = std::fs::read_dir(folder).expect("the folder is there");
        let mut found: Vec<_> = files
            .map(|file| file.expect("it is listed").path())
            .map(|path| {
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        found.sort();
        let mut known = names();
        known.sort_unstable();
        assert_eq!(found, known);
        for name in known {
            assert_eq!(find(name).expect(name).name, name);
        }
    }

    #[test]
    fn the_gateway_takes_the_configuration_of_every_scenario() {
        let place = tempfile::tempdir().expect("a folder");
        let at = |name: &str| place.path().join(name).display().to_string();
        crate::certificate::self_signed(place.path()).expect("openssl is there");
        let keyring = sealgate_keys::Keyring::create(at("bench.keyring"), "bench");
        assert!(keyring.is_ok());
        for name in names() {
            let config = find(name).expect(name).gateway.filled(Filling {
                listen: "127.0.0.1:1",
                upstream: "127.0.0.1:2",
                certificate: &at("proxy.pem"),
                key: &at("proxy.key"),
                keyring: &at("bench.keyring"),
            });
            assert!(!config.contains('{'), "{name}: {config}");
            std::fs::write(at("gateway.toml"), config).expect("written");
            let loaded = sealgate::control::config::load(at("gateway.toml").as_ref());
            assert!(loaded.is_ok(), "{name}: {:?}", loaded.err());
        }
    }

    #[test]
    fn tenants_are_counted_from_one() {
        let gateway = Gateway {
            config: "listen {listen}\n".into(),
            tenants: Some(Tenants {
                count: 2,
                config: "t{n} {upstream}\n".into(),
            }),
        };
        let with = Filling {
            listen: "L",
            upstream: "U",
            certificate: "",
            key: "",
            keyring: "",
        };
        assert_eq!(gateway.filled(with), "listen L\nt1 U\nt2 U\n");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |error: ScenarioError| error.to_string();
        let unknown = said(find("bulky").expect_err("no such name"));
        assert!(
            unknown.contains("bulky") && unknown.contains("re-encrypt"),
            "{unknown}"
        );
        let missing = said(find("/nonexistent/x.toml").expect_err("no such file"));
        assert!(missing.contains("/nonexistent/x.toml"), "{missing}");
        let (_, bulk) = OWN[0];
        for (wrong, name) in [
            (bulk.replace("slice =", "slize ="), "slize"),
            (bulk.replace("\"bulk\"", "\"bulge\""), "bulge"),
            (bulk.replace("[origin]", "[origins]"), "origins"),
            (
                bulk.replace(
                    "[load]",
                    "[gateway.tenants]\ncount = 0\nconfig = ''\n[load]",
                ),
                "count is 0",
            ),
        ] {
            let wrong = said(parse("mine", &wrong).expect_err(name));
            assert!(
                wrong.starts_with("mine: ") && wrong.contains(name),
                "{wrong}"
            );
        }
    }
}
