//! The tenants of a run: their names, and which one an operation belongs to.
//!
//! The tenant of an operation follows from the seed and the operation's number alone, so the same
//! seed gives every tenant the same operations on any number of threads.

use std::{fmt, io::Write, str::FromStr};

use thiserror::Error;

use crate::{
    files::Files,
    schedule::{
        choice::{self, Choice, MAX_ITEMS, Spread, SpreadError, Weighted, WeightsError},
        random::Random,
    },
};

/// Tenants that have histograms of their own. The others are one row.
pub const OWN_ROWS: usize = 64;

/// The stream of chance that tenants are drawn from; those of threads are small numbers.
const STREAM: u64 = 0x7e4a_4e75;

/// `--tenants N[:SPREAD]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// How many; none when a file of weights says so.
    pub count: Option<usize>,
    /// How operations are spread over them.
    pub spread: Spread,
}

/// Tenants that are none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AskedError {
    /// Not a number of tenants.
    #[error(
        "not a number of tenants: write 1 to {MAX_ITEMS}, as in 16, 16:zipf(1.1) or 3:weights.csv"
    )]
    Count,
    /// Not a spread.
    #[error(transparent)]
    Spread(#[from] SpreadError),
}

impl FromStr for Asked {
    type Err = AskedError;

    fn from_str(text: &str) -> Result<Self, AskedError> {
        let (count, spread) = match text.split_once(':') {
            Some((count, spread)) => (count, spread.parse()?),
            None if text.ends_with(".csv") => {
                return Ok(Self {
                    count: None,
                    spread: text.parse()?,
                });
            }
            None => (text, Spread::Uniform),
        };
        let count = count.parse().ok();
        let count = count.filter(|count| (1..=MAX_ITEMS).contains(count));
        Ok(Self {
            count: Some(count.ok_or(AskedError::Count)?),
            spread,
        })
    }
}

/// `--noisy-tenant ID=10x`.
#[derive(Debug, Clone, PartialEq)]
pub struct Noisy {
    /// Name of the tenant, or its number from 1.
    pub tenant: String,
    /// Factor on its weight.
    pub factor: f64,
}

impl fmt::Display for Noisy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}x", self.tenant, self.factor)
    }
}

/// A noisy tenant that is none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a noisy tenant: write NAME=10x, or NUMBER=10x")]
pub struct NoisyError;

impl FromStr for Noisy {
    type Err = NoisyError;

    fn from_str(text: &str) -> Result<Self, NoisyError> {
        let (tenant, factor) = text.split_once('=').ok_or(NoisyError)?;
        let factor = factor.strip_suffix('x').unwrap_or(factor).parse().ok();
        let factor = factor.filter(|factor| (0.0..=1e6).contains(factor));
        match tenant.is_empty() {
            true => Err(NoisyError),
            false => Ok(Self {
                tenant: tenant.to_owned(),
                factor: factor.ok_or(NoisyError)?,
            }),
        }
    }
}

/// Tenants that a run cannot have. The operator's fault.
#[derive(Debug, Error)]
pub enum TenantsError {
    /// The weights are of no use.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The file has another number of tenants than was asked for.
    #[error(
        "{path} has {lines} tenants and --tenants says {count}: write --tenants {lines}:{path}, or only --tenants {path}"
    )]
    Count {
        /// The file.
        path: String,
        /// Its tenants.
        lines: usize,
        /// What was asked for.
        count: usize,
    },
    /// The name has no number, so all would be called alike.
    #[error(
        "--tenant-name {0} gives several tenants one name: put {{n}} in it, as in t{{n}}.example"
    )]
    NameWithoutNumber(String),
    /// The name has characters that fit into no host name.
    #[error("--tenant-name {0} is no name: use letters, digits, '.', '-', '_' and {{n}}")]
    Name(String),
    /// No such tenant.
    #[error("--noisy-tenant {0}: there is no such tenant; the first is {1}, the last {2}")]
    NoSuchTenant(String, String, String),
}

/// The tenants of a run, the one with the largest share first.
#[derive(Debug)]
pub struct Tenants {
    names: Names,
    /// Which tenant as it was listed is at a place; empty when the order did not change.
    order: Vec<u32>,
    choice: Choice,
    /// Shares by place, of 1.
    shares: Vec<f64>,
    seed: u64,
}

#[derive(Debug)]
enum Names {
    /// A number from 1 between these.
    Numbered(String, String),
    Listed(Vec<String>),
}

impl Tenants {
    /// The tenants that were asked for. `name` has `{n}` where a number from 1 goes; a file of
    /// weights has names of its own.
    ///
    /// # Errors
    ///
    /// When there is no such file, or what it and the flags say does not fit together.
    pub fn new(
        asked: &Asked,
        name: &str,
        noisy: &[Noisy],
        seed: u64,
        files: &Files,
    ) -> Result<Self, TenantsError> {
        let count = asked.count.unwrap_or(1);
        let (names, mut weights) = match &asked.spread {
            Spread::Uniform => (numbered(name, count)?, vec![1.0; count]),
            Spread::Zipf(exponent) => (numbered(name, count)?, choice::zipf(count, *exponent)),
            Spread::Weights(path) => {
                let read = choice::read_weights(files, path)?;
                if asked.count.is_some_and(|count| count != read.len()) {
                    return Err(TenantsError::Count {
                        path: path.display().to_string(),
                        lines: read.len(),
                        count,
                    });
                }
                listed(read)
            }
        };
        for Noisy { tenant, factor } in noisy {
            let listed = find(&names, weights.len(), tenant)?;
            weights[listed] *= factor;
        }
        Self::weighted(names, &weights, seed)
    }

    /// Tenants with these names and weights.
    ///
    /// # Errors
    ///
    /// When there are none, too many, or none with a weight.
    pub fn listed(named: Vec<Weighted>, seed: u64) -> Result<Self, TenantsError> {
        let (names, weights) = listed(named);
        Self::weighted(names, &weights, seed)
    }

    fn weighted(names: Names, weights: &[f64], seed: u64) -> Result<Self, TenantsError> {
        let order = order(weights);
        let sum: f64 = weights.iter().sum();
        let place = |n: usize| order.get(n).map_or(n, |listed| *listed as usize);
        let weights: Vec<_> = (0..weights.len()).map(|n| weights[place(n)]).collect();
        Ok(Self {
            names,
            choice: Choice::new(&weights)?,
            shares: weights.iter().map(|weight| weight / sum).collect(),
            order,
            seed,
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.choice.items()
    }

    /// The share of a tenant, of 1.
    pub fn share(&self, tenant: usize) -> f64 {
        self.shares[tenant]
    }

    /// The tenant of the operation with this number among those of all threads.
    pub fn draw(&self, number: u64) -> usize {
        self.choice
            .draw(&mut Random::new(self.seed ^ STREAM, number))
    }

    /// Appends the name of a tenant.
    pub fn write_name(&self, tenant: usize, out: &mut Vec<u8>) {
        let listed = self.order.get(tenant).map_or(tenant, |n| *n as usize);
        match &self.names {
            Names::Numbered(before, after) => {
                let _ = write!(out, "{before}{}{after}", listed + 1);
            }
            Names::Listed(names) => out.extend_from_slice(names[listed].as_bytes()),
        }
    }

    /// The name of a tenant.
    pub fn name(&self, tenant: usize) -> String {
        let mut name = Vec::new();
        self.write_name(tenant, &mut name);
        String::from_utf8_lossy(&name).into_owned()
    }

    /// Rows of a report: tenants of their own, and one for the others where there are more.
    pub fn rows(&self) -> usize {
        self.count().min(OWN_ROWS + 1)
    }

    /// The name of a row. No tenant can be called as the others are.
    pub fn row_name(&self, row: usize) -> String {
        match self.count() - row.min(self.count()) {
            others if row == OWN_ROWS && others > 1 => format!("({others} others)"),
            _ => self.name(row),
        }
    }
}

fn listed(named: Vec<Weighted>) -> (Names, Vec<f64>) {
    let weights = named.iter().map(|item| item.weight).collect();
    let names = named.into_iter().map(|item| item.name).collect();
    (Names::Listed(names), weights)
}

fn numbered(name: &str, count: usize) -> Result<Names, TenantsError> {
    let (before, after) = match name.split_once("{n}") {
        Some(parts) => parts,
        None if count == 1 => return Ok(Names::Listed(vec![name.to_owned()])),
        None => return Err(TenantsError::NameWithoutNumber(name.to_owned())),
    };
    match choice::is_name(&format!("{before}1{after}")) {
        true => Ok(Names::Numbered(before.to_owned(), after.to_owned())),
        false => Err(TenantsError::Name(name.to_owned())),
    }
}

fn find(names: &Names, count: usize, wanted: &str) -> Result<usize, TenantsError> {
    let name = |n: usize| match names {
        Names::Numbered(before, after) => format!("{before}{}{after}", n + 1),
        Names::Listed(names) => names[n].clone(),
    };
    if let Some(found) = (0..count).find(|n| name(*n) == wanted) {
        return Ok(found);
    }
    let number = wanted.parse::<usize>().ok();
    match number.filter(|number| (1..=count).contains(number)) {
        Some(number) => Ok(number - 1),
        None => {
            let last = count.saturating_sub(1);
            Err(TenantsError::NoSuchTenant(
                wanted.to_owned(),
                name(0),
                name(last),
            ))
        }
    }
}

/// The places of `weights` by falling weight; empty when they are so already.
fn order(weights: &[f64]) -> Vec<u32> {
    if weights.is_sorted_by(|a, b| a >= b) {
        return Vec::new();
    }
    let mut order: Vec<u32> = (0..weights.len() as u32).collect();
    // Stable: of those alike, the one listed first comes first.
    order.sort_by(|a, b| weights[*b as usize].total_cmp(&weights[*a as usize]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(asked: &str, noisy: &[&str]) -> Result<Tenants, TenantsError> {
        let noisy: Vec<Noisy> = noisy.iter().map(|text| text.parse().unwrap()).collect();
        Tenants::new(&asked.parse().unwrap(), "t{n}", &noisy, 1, &Files::Disk)
    }

    #[test]
    fn a_noisy_tenant_comes_first_and_has_its_multiple() {
        let tenants = tenants("4", &["t3=10x"]).unwrap();
        let names: Vec<_> = (0..4).map(|n| tenants.name(n)).collect();
        assert_eq!(names, ["t3", "t1", "t2", "t4"]);
        assert_eq!(tenants.share(0), 10.0 / 13.0);
        let mut counts = [0; 4];
        for number in 0..13_000 {
            counts[tenants.draw(number)] += 1;
        }
        assert!((9_700..10_300).contains(&counts[0]), "{counts:?}");
        assert!(
            counts[1..].iter().all(|n| (850..1_150).contains(n)),
            "{counts:?}"
        );
    }

    #[test]
    fn draws_follow_from_seed_and_number() {
        let one = tenants("100:zipf(1.1)", &[]).unwrap();
        let drawn: Vec<_> = (0..12).map(|number| one.draw(number)).collect();
        let again = tenants("100:zipf(1.1)", &[]).unwrap();
        assert_eq!(drawn, (0..12).map(|n| again.draw(n)).collect::<Vec<_>>());
        let noisy = tenants("100:zipf(1.1)", &["t100=1000000x"]).unwrap();
        assert_eq!(noisy.name(noisy.draw(5)), "t100");
    }

    #[test]
    fn rows_are_bounded_and_the_others_have_one() {
        let many = tenants("1000", &[]).unwrap();
        assert_eq!(many.rows(), 65);
        assert_eq!(many.row_name(63), "t64");
        assert_eq!(many.row_name(64), "(936 others)");
        let just = tenants("65", &[]).unwrap();
        assert_eq!((just.rows(), just.row_name(64)), (65, "t65".to_owned()));
    }

    #[test]
    fn flags_that_do_not_fit_say_what_would() {
        assert!(matches!("0".parse::<Asked>(), Err(AskedError::Count)));
        assert!("3:even".parse::<Asked>().is_err());
        assert!("=3x".parse::<Noisy>().is_err() && "a=x".parse::<Noisy>().is_err());
        let error = tenants("3", &["t9=2x"]).unwrap_err().to_string();
        assert!(error.contains("the first is t1, the last t3"), "{error}");
        let alike = Tenants::new(&"2".parse().unwrap(), "acme", &[], 1, &Files::Disk).unwrap_err();
        assert!(alike.to_string().contains("{n}"), "{alike}");
        let bad = Tenants::new(&"2".parse().unwrap(), "a b{n}", &[], 1, &Files::Disk).unwrap_err();
        assert!(matches!(bad, TenantsError::Name(_)));
        let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
        std::fs::write(file.path(), "acme,1\nglobex,3\n").unwrap();
        let path = file.path().display();
        let listed = tenants(&format!("2:{path}"), &[]).unwrap();
        assert_eq!(listed.name(0), "globex");
        assert_eq!(tenants(&path.to_string(), &[]).unwrap().count(), 2);
        let error = tenants(&format!("3:{path}"), &[]).unwrap_err().to_string();
        assert!(
            error.contains("has 2 tenants and --tenants says 3"),
            "{error}"
        );
    }
}
