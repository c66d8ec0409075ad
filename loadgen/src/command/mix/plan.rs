//! From the operations of a scenario to those of a load.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    cli::LoadArgs,
    command::{
        CommandError,
        request::{self, Wanted},
        tenants,
    },
    operation::{
        bulk, echo,
        handshake::{self, Close},
        http1::{
            check::Check,
            objects::{Objects, Pick},
            template::Template,
        },
        mixed::{Does, Part},
        reuse::Reuse,
        size::Size,
    },
    placeholder::Text,
    scenario::{CheckName, Direction, Entry, Kind, Prepare, Problem, Scenario, Source},
    schedule::{
        choice::{self, Choice, Spread},
        curve::Rate,
        parse,
    },
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
                let resumed = (builder.resume(entry)? * 1e4).round() as u64;
                weights.extend([share * (1_000_000 - resumed), share * resumed, 0, 0]);
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

    fn request(&mut self, entry: &Entry, place: &Target) -> Result<Template, CommandError> {
        let target = self.with_path(entry, place)?;
        let size = self.size(entry)?;
        let objects = self.objects(entry, &target, size)?;
        let method = entry.method.as_deref().unwrap_or("GET");
        // The size of a GET is that of the object, and a GET has no body.
        let bodiless = matches!(method, "GET" | "HEAD" | "DELETE");
        let known = objects
            .as_ref()
            .is_some_and(|objects| objects.size.is_some());
        let unknown = || self.source.at(entry.name.span(), Problem::UnknownObjects);
        if entry.prepare == Prepare::All && !known
            || entry.check == CheckName::Hash && objects.is_some() && !known
        {
            return Err(unknown().into());
        }
        let check = match entry.check {
            CheckName::None => Check::Complete,
            CheckName::Status => Check::Status,
            CheckName::Hash if method == "GET" && known => Check::Echo,
            CheckName::Hash => Check::Hash,
            CheckName::Echo => Check::Echo,
        };
        let wanted = |method, size, check| Wanted {
            method,
            size,
            check,
            reuse: Reuse::default(),
        };
        let body = size.filter(|_| !bodiless);
        let build = |wanted| request::template(&target, self.load, &entry.headers, wanted);
        let mut template = build(wanted(method, body, check))?;
        template.statuses.clone_from(&entry.expect_status);
        if let (Prepare::All, Some(objects)) = (entry.prepare, &objects) {
            let mut store = build(wanted("PUT", size, Check::Hash))?;
            store.objects = Some(objects.clone());
            self.prepared.push(Prepared {
                target: Target {
                    path: "/".to_owned(),
                    ..place.clone()
                },
                template: Box::new(store),
                objects: entry.objects.as_ref().map_or(1, |n| *n.get_ref() as u64),
            });
        }
        template.objects = objects;
        Ok(template)
    }

    /// The target with the path of an operation.
    fn with_path(&self, entry: &Entry, place: &Target) -> Result<Target, CommandError> {
        let path = match (&entry.path, place.path.as_str()) {
            (Some(path), "/") if path.starts_with('/') => path.clone(),
            (None, "/") => "/".to_owned(),
            _ => {
                let name = entry.name.get_ref().clone();
                let problem = Problem::TargetWithPath(name);
                return Err(self.source.at(entry.name.span(), problem).into());
            }
        };
        let names_tenant = |text: &&String| Text::of_tenant(text).names_tenant();
        let named = entry.headers.iter().chain([&path]).find(names_tenant);
        if let (Some(text), None) = (named, &self.tenants) {
            return Err(CommandError::NoTenants(text.clone()));
        }
        Ok(Target {
            path,
            ..place.clone()
        })
    }

    fn objects(
        &self,
        entry: &Entry,
        target: &Target,
        size: Option<Size>,
    ) -> Result<Option<Objects>, CommandError> {
        let numbered = Text::strict(&target.path)?.names_object();
        let count = match (&entry.objects, numbered) {
            (Some(count), true) => *count.get_ref(),
            (None, false) => return Ok(None),
            _ => return Err(self.source.at(entry.name.span(), Problem::Objects).into()),
        };
        let spread = match &entry.pick {
            Some(written) => self.source.value(written)?,
            None => Spread::Uniform,
        };
        let count = count.min(choice::MAX_ITEMS + 1);
        let weights = match spread {
            Spread::Uniform => vec![1.0; count],
            Spread::Zipf(exponent) => choice::zipf(count, exponent),
            // Objects have numbers and no names.
            Spread::Weights(_) => {
                return Err(self.source.at(entry.name.span(), Problem::Pick).into());
            }
        };
        let choice = Choice::new(&weights).map_err(crate::tenants::TenantsError::from)?;
        Ok(Some(Objects {
            pick: Pick::Drawn(choice),
            size,
            seed: self.load.schedule.seed,
        }))
    }
}
