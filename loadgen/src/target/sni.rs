//! Which server names are asked for: one, or several in given shares.
//!
//! Several names are a run's tenants: each has connections, tickets and a row in the report of its
//! own, and which one an operation asks for follows from the seed and its number.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, sync::Arc};

use thiserror::Error;

use crate::{
    files::Files,
    schedule::choice::{self, LineProblem, MAX_ITEMS, Spread, Weighted, WeightsError},
    tenants::{Tenants, TenantsError},
};

/// `--sni`.
#[derive(Debug, Clone, PartialEq)]
pub enum Sni {
    /// One name, in which `{tenant}` may stand for that of a tenant.
    One(String),
    /// Several.
    Mix(Names),
}

/// Several names, and how operations are spread over them.
#[derive(Debug, Clone, PartialEq)]
pub struct Names {
    written: String,
    names: Listed,
    shares: Shares,
}

/// Where the names are.
#[derive(Debug, Clone, PartialEq)]
enum Listed {
    Here(Vec<String>),
    InFile(PathBuf),
}

/// How operations are spread over the names.
#[derive(Debug, Clone, PartialEq)]
enum Shares {
    /// As the file says where it has weights, else alike.
    Listed,
    /// Alike, or falling off in their order.
    Spread(Spread),
    /// One for each name.
    Weights(Vec<f64>),
}

/// Names that are none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq)]
pub enum SniError {
    /// A name in a list is none.
    #[error("{0}")]
    Name(LineProblem),
    /// A name stands there twice.
    #[error("{0} stands there twice: name each once, and give it a larger weight")]
    Twice(String),
    /// Not shares.
    #[error(
        "{0:?} says no shares: write a,b,c:uniform, a,b,c:zipf(1.1) with an exponent of 0 to 10, or a weight for each name, as in a,b,c:5,3,2"
    )]
    Shares(String),
    /// Weights for other names.
    #[error("{weights} weights for {names} names: write one for each")]
    Weights {
        /// How many were written.
        weights: usize,
        /// For how many names.
        names: usize,
    },
}

impl FromStr for Sni {
    type Err = SniError;

    fn from_str(text: &str) -> Result<Self, SniError> {
        // A name has no colon, but an address of IPv6 has.
        let (list, shares) = match text.parse::<IpAddr>() {
            Ok(_) => return Ok(Sni::One(text.to_owned())),
            Err(_) => match text.rsplit_once(':') {
                Some((list, shares)) => (list, Some(shares)),
                None => (text, None),
            },
        };
        let names = match list.ends_with(".csv") {
            true => Listed::InFile(list.into()),
            // Whether it is a name is said with the other flags, which may bring tenants.
            false if shares.is_none() && !list.contains(',') => {
                return Ok(Sni::One(text.to_owned()));
            }
            false => Listed::Here(parse_names(list)?),
        };
        Ok(Sni::Mix(Names {
            written: text.to_owned(),
            shares: parse_shares(shares, &names)?,
            names,
        }))
    }
}

impl fmt::Display for Sni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sni::One(name) => f.write_str(name),
            Sni::Mix(names) => f.write_str(&names.written),
        }
    }
}

impl Sni {
    /// The name with its placeholders: several names are those of tenants.
    pub fn text(&self) -> &str {
        match self {
            Sni::One(name) => name,
            Sni::Mix(_) => "{tenant}",
        }
    }

    /// The names, where there are several.
    pub fn mix(&self) -> Option<&Names> {
        match self {
            Sni::One(_) => None,
            Sni::Mix(names) => Some(names),
        }
    }
}

impl Names {
    /// The tenants that these names are.
    ///
    /// # Errors
    ///
    /// When the file is of no use.
    pub fn tenants(&self, seed: u64, files: &Files) -> Result<Arc<Tenants>, TenantsError> {
        let lone = |name: &String| Weighted {
            name: name.clone(),
            weight: 1.0,
        };
        let mut named: Vec<Weighted> = match &self.names {
            Listed::Here(names) => names.iter().map(lone).collect(),
            Listed::InFile(path) => choice::read_names(files, path)?,
        };
        if named.is_empty() || named.len() > MAX_ITEMS {
            return Err(WeightsError::Items(named.len()).into());
        }
        let weights = match &self.shares {
            Shares::Listed => None,
            Shares::Spread(spread) => spread.weights(named.len()),
            Shares::Weights(weights) => Some(weights.clone()),
        };
        for (item, weight) in named.iter_mut().zip(weights.into_iter().flatten()) {
            item.weight = weight;
        }
        Ok(Arc::new(Tenants::listed(named, seed)?))
    }

    /// How operations are spread, for the report.
    pub fn shares(&self) -> String {
        match (&self.shares, &self.names) {
            (Shares::Listed, Listed::InFile(path)) => path.display().to_string(),
            (Shares::Listed, Listed::Here(_)) => Spread::Uniform.to_string(),
            (Shares::Spread(spread), _) => spread.to_string(),
            (Shares::Weights(weights), _) => {
                let weights: Vec<_> = weights.iter().map(f64::to_string).collect();
                weights.join(",")
            }
        }
    }
}

fn parse_names(list: &str) -> Result<Vec<String>, SniError> {
    let mut names = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for name in list.split(',') {
        match choice::is_name(name) {
            true if seen.insert(name) => names.push(name.to_owned()),
            true => return Err(SniError::Twice(name.to_owned())),
            false => return Err(SniError::Name(LineProblem::Name(name.to_owned()))),
        }
    }
    Ok(names)
}

fn parse_shares(text: Option<&str>, names: &Listed) -> Result<Shares, SniError> {
    let Some(text) = text else {
        return Ok(Shares::Listed);
    };
    match text.parse() {
        Ok(spread @ (Spread::Uniform | Spread::Zipf(_))) => return Ok(Shares::Spread(spread)),
        Ok(Spread::Weights(_)) | Err(_) => {}
    }
    let unknown = || SniError::Shares(text.to_owned());
    // A file has its weights on its lines.
    let Listed::Here(names) = names else {
        return Err(unknown());
    };
    let weights = text.split(',').map(choice::parse_weight);
    let weights: Vec<_> = weights.collect::<Option<_>>().ok_or_else(unknown)?;
    match (weights.len(), names.len()) {
        (weights, names) if weights != names => Err(SniError::Weights { weights, names }),
        _ => Ok(Shares::Weights(weights)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Sni, SniError> {
        text.parse()
    }

    /// Names and shares in percent, in the order of the report.
    fn shares(text: &str) -> Vec<(String, u32)> {
        let Sni::Mix(names) = parsed(text).unwrap() else {
            panic!("{text} is one name");
        };
        let all = names.tenants(1, &Files::Disk).unwrap();
        let share = |n| (all.share(n) * 100.0).round() as u32;
        (0..all.count()).map(|n| (all.name(n), share(n))).collect()
    }

    fn named(shares: &[(&str, u32)]) -> Vec<(String, u32)> {
        let owned = |(name, share): &(&str, u32)| ((*name).to_owned(), *share);
        shares.iter().map(owned).collect()
    }

    #[test]
    fn names_have_the_shares_that_were_asked_for() {
        assert_eq!(shares("a.x,b.x"), named(&[("a.x", 50), ("b.x", 50)]));
        assert_eq!(shares("a,b:uniform"), named(&[("a", 50), ("b", 50)]));
        let zipf = named(&[("a", 55), ("b", 27), ("c", 18)]);
        assert_eq!(shares("a,b,c:zipf(1)"), zipf);
        let weights = named(&[("b", 70), ("c", 20), ("a", 10)]);
        assert_eq!(shares("a,b,c:1,7,2"), weights);
        let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
        std::fs::write(file.path(), "# names\na.x\n\nb.x,3\n").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(shares(path), named(&[("b.x", 75), ("a.x", 25)]));
        let even = format!("{path}:uniform");
        assert_eq!(shares(&even), named(&[("a.x", 50), ("b.x", 50)]));
    }

    #[test]
    fn one_name_stays_as_it_is() {
        for name in ["localhost", "{tenant}.example", "::1", "127.0.0.1", "x y"] {
            assert_eq!(parsed(name), Ok(Sni::One(name.to_owned())));
        }
        assert_eq!(parsed("a,b").unwrap().to_string(), "a,b");
        assert_eq!(parsed("a,b").unwrap().text(), "{tenant}");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (text, says) in [
            ("a,", "\"\" is no name: use letters"),
            ("a,{tenant}", "\"{tenant}\" is no name"),
            ("a,b,a", "a stands there twice"),
            ("a,b:even", "\"even\" says no shares: write a,b,c:uniform"),
            ("a,b:zipf(11)", "an exponent of 0 to 10"),
            ("a,b:1,2,3", "3 weights for 2 names"),
            ("a,b:1,-2", "\"1,-2\" says no shares"),
            ("x.csv:1,2", "\"1,2\" says no shares"),
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let Ok(Sni::Mix(names)) = parsed("/nowhere/names.csv") else {
            panic!("a file of names");
        };
        let error = names.tenants(1, &Files::Disk).unwrap_err().to_string();
        assert!(error.contains("/nowhere/names.csv"), "{error}");
    }
}
