//! From the operations of a scenario to those of a load.

mod request;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    cli::LoadArgs,
    command::{CommandError, handshake::shares as handshake_shares, tenants},
    operation::{
        bulk, echo,
        handshake::{self, Close},
        http1::template::Template,
        mixed::{Does, Part},
        size::Size,
    },
    scenario::{Direction, Entry, Kind, Problem, Scenario, Source},
    schedule::{curve::Rate, parse},
    target::{
        client_certificate::Shown,
        tls::Configs,
        url::{Scheme, Target},
    },
    tenants::Tenants,
    units,
    worker::Endpoint,
};

/// Size of a transfer when none is given.
const BULK_BYTES: u64 = 1_000_000;

/// Size of an echoed message when none is given, and the largest.
const ECHO_BYTES: u64 = 100;
const MAX_ECHO_BYTES: u64 = 1_000_000_000;

/// What a scenario comes to.
pub struct Built {
    /// Where operations go that name no target.
    pub target: Target,
    /// The operations.
    pub parts: Vec<Part>,
    /// Where the others go.
    pub endpoints: Vec<Endpoint>,
    /// Weights of all kinds.
    pub weights: Vec<u64>,
    /// The rate of all, where each has one of its own.
    pub rate: Option<Rate>,
    /// What is to be stored before.
    pub prepared: Vec<Prepared>,
}

/// Objects to store before the load.
pub struct Prepared {
    /// Where.
    pub target: Target,
    /// How.
    pub template: Box<Template>,
    /// Of each tenant.
    pub objects: u64,
}

/// Reads the operations of a scenario.
struct Builder<'a> {
    source: &'a Source,
    load: &'a LoadArgs,
    tenants: Option<Arc<Tenants>>,
    target: Target,
    /// Places that are not the scenario's own, by scheme and authority.
    places: BTreeMap<String, usize>,
    endpoints: Vec<Endpoint>,
    prepared: Vec<Prepared>,
}

/// Builds the load of a scenario.
///
/// # Errors
///
/// When an operation is of no use.
pub fn build(source: &Source, scenario: &Scenario, load: &LoadArgs) -> Result<Built, CommandError> {
    let target: Target = source.value(&scenario.target)?;
    if target.path != "/" {
        let problem = Problem::TargetWithPath(target.to_string());
        return Err(source.at(scenario.target.span(), problem).into());
    }
    let mut builder = Builder {
        source,
        load,
        tenants: tenants::tenants(load)?,
        target,
        places: BTreeMap::new(),
        endpoints: Vec::new(),
        prepared: Vec::new(),
    };
    let (shares, rate) = shares(source, scenario, load)?;
    let (mut parts, mut weights) = (Vec::new(), Vec::new());
    for (entry, share) in scenario.operation.iter().zip(shares) {
        parts.push(builder.part(entry)?);
        // Millionths, so that a part of the handshakes is a whole number too.
        match entry.kind {
            Kind::Handshake => {
                let resumed = (builder.resume(entry)? * 1e4).round();
                let early = (resumed * builder.early(entry)? / 100.0).round() as u64;
                let resumed = resumed as u64;
                weights.extend([
                    share * (1_000_000 - resumed),
                    share * (resumed - early),
                    share * early,
                    0,
                ]);
            }
            Kind::Request | Kind::Echo | Kind::Bulk => weights.push(share * 1_000_000),
        }
    }
    Ok(Built {
        target: builder.target,
        parts,
        endpoints: builder.endpoints,
        weights,
        rate,
        prepared: builder.prepared,
    })
}

/// The share of each operation, and the rate of all where each has its own.
fn shares(
    source: &Source,
    scenario: &Scenario,
    load: &LoadArgs,
) -> Result<(Vec<u64>, Option<Rate>), CommandError> {
    let (mut shares, mut rates) = (Vec::new(), 0);
    for entry in &scenario.operation {
        match (&entry.share, &entry.rate) {
            (Some(share), None) => shares.push((*share.get_ref()).min(1_000_000_000)),
            (None, Some(rate)) => {
                let Rate(thousandths) = source.read_with(rate, parse::rate)?;
                shares.push(thousandths);
                rates += 1;
            }
            _ => return Err(source.at(entry.name.span(), Problem::ShareOrRate).into()),
        }
    }
    let planned = load.schedule.rate.is_some() || load.schedule.stages.is_some();
    let first = scenario
        .operation
        .first()
        .map_or(0..0, |entry| entry.name.span());
    if rates > 0 && (planned || rates < shares.len()) {
        return Err(source.at(first, Problem::ShareOrRate).into());
    }
    let sum: u64 = shares.iter().sum();
    if sum == 0 {
        return Err(source.at(first, Problem::NoShare).into());
    }
    Ok((shares, (rates > 0).then_some(Rate(sum))))
}

impl Builder<'_> {
    fn part(&mut self, entry: &Entry) -> Result<Part, CommandError> {
        let target = match &entry.target {
            Some(written) => self.source.value(written)?,
            None => self.target.clone(),
        };
        let fits = match entry.kind {
            Kind::Request => target.scheme.is_http(),
            Kind::Handshake => target.scheme.encrypted(),
            Kind::Echo | Kind::Bulk => matches!(target.scheme, Scheme::Tls | Scheme::Tcp),
        };
        self.check_keys(entry)?;
        if !fits {
            let span = entry
                .target
                .as_ref()
                .map_or(entry.name.span(), |t| t.span());
            return Err(self
                .source
                .at(span, Problem::WrongTarget(target.to_string()))
                .into());
        }
        let does = match entry.kind {
            Kind::Request => Does::Request(Box::new(self.request(entry, &target)?)),
            Kind::Handshake => Does::Handshake(handshake::Settings {
                close: Close::Rst,
                resumes: self.resume(entry)? > 0.0,
                certificate: Shown::Always,
            }),
            Kind::Echo => Does::Echo(echo::Settings {
                size: self.echo_size(entry)?,
            }),
            Kind::Bulk => Does::Bulk(bulk::Settings {
                direction: match entry.direction {
                    Direction::Down => bulk::Direction::Down,
                    Direction::Up => bulk::Direction::Up,
                    Direction::Duplex => bulk::Direction::Duplex,
                },
                bytes: match &entry.bytes {
                    Some(written) => self.source.read_with(written, units::size)?,
                    None => BULK_BYTES,
                },
            }),
        };
        let slo = entry.slo.iter().map(|written| self.source.value(written));
        Ok(Part {
            name: entry.name.get_ref().clone(),
            does,
            endpoint: self.endpoint(&target)?,
            slo: slo.collect::<Result<_, _>>()?,
        })
    }

    fn resume(&self, entry: &Entry) -> Result<f64, CommandError> {
        Ok(match &entry.resume {
            Some(written) => self.source.read_with(written, units::percent)?,
            None => 0.0,
        })
    }

    /// Early data: a share of the resumed handshakes, or of the new connections of requests.
    fn early(&self, entry: &Entry) -> Result<f64, CommandError> {
        Ok(match &entry.early_data {
            Some(written) => self.source.read_with(written, units::percent)?,
            None => 0.0,
        })
    }

    /// What a kind of operation has no use for.
    fn check_keys(&self, entry: &Entry) -> Result<(), CommandError> {
        let request = entry.kind == Kind::Request;
        let handshake = entry.kind == Kind::Handshake;
        let sealed = entry.envelope.is_some() || entry.keyring.is_some();
        for (is_given, fits, key) in [
            (entry.reuse.is_some(), request, "reuse"),
            (
                entry.early_data.is_some(),
                request || handshake,
                "early-data",
            ),
            (entry.resume.is_some(), handshake, "resume"),
            (sealed, request, "envelope, or keyring,"),
            (entry.raw_aes.is_some(), request, "raw-aes"),
        ] {
            if is_given && !fits {
                let problem = Problem::OfAnotherKind(key);
                return Err(self.source.at(entry.name.span(), problem).into());
            }
        }
        match &entry.early_data {
            Some(written) if handshake => {
                let (resume, early) = (self.resume(entry)?, self.early(entry)?);
                let checked = handshake_shares(resume, early, &self.load.tls);
                Ok(checked.map_err(|why| self.source.value_error(written, why))?)
            }
            _ => Ok(()),
        }
    }

    fn echo_size(&self, entry: &Entry) -> Result<usize, CommandError> {
        match self.size(entry)? {
            None => Ok(ECHO_BYTES as usize),
            Some(Size::Fixed(size @ 1..=MAX_ECHO_BYTES)) => Ok(size as usize),
            Some(_) => Err(CommandError::EchoSize),
        }
    }

    fn size(&self, entry: &Entry) -> Result<Option<Size>, CommandError> {
        let size = entry
            .size
            .as_ref()
            .map(|written| self.source.value(written));
        Ok(size.transpose()?)
    }

    /// The place that a target is: 0 is the scenario's own.
    fn endpoint(&mut self, target: &Target) -> Result<usize, CommandError> {
        let same = |other: &Target| {
            (other.scheme, &other.host, other.port) == (target.scheme, &target.host, target.port)
        };
        if same(&self.target) {
            return Ok(0);
        }
        let place = Target {
            path: "/".to_owned(),
            ..target.clone()
        };
        let name = place.to_string();
        if let Some(known) = self.places.get(&name) {
            return Ok(*known);
        }
        if target.scheme.is_http() && self.load.tls.alpn.is_some() {
            return Err(CommandError::AlpnOfHttp);
        }
        let alpn: &[&[u8]] = match target.scheme.is_http() {
            true => &[b"http/1.1"],
            false => &[],
        };
        let tls = match target.scheme.encrypted() {
            true => Some(Configs::new(
                &self.load.tls,
                &target.host,
                alpn,
                self.tenants.as_ref(),
            )?),
            false => None,
        };
        self.endpoints.push(Endpoint {
            // --connect-to is where the scenario's own target is.
            address: target.resolve(None)?,
            tls,
        });
        self.places.insert(name, self.endpoints.len());
        Ok(self.endpoints.len())
    }
}
