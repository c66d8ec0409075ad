//! Which one of many: shares that are even, fall off (Zipf), or come from a file, and drawing from
//! them in constant time without an allocation.
//!
//! Walker's alias method (1977), set up as Vose (1991) does: every column holds an item and an
//! alias, and one random number picks the column and decides between the two.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use thiserror::Error;

use super::random::Random;
use crate::files::Files;

/// Most items that can be chosen from: a table of them takes 16 MB.
pub const MAX_ITEMS: usize = 1_000_000;

/// Longest file of weights.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// How the shares of items are spread.
#[derive(Debug, Clone, PartialEq)]
pub enum Spread {
    /// All alike.
    Uniform,
    /// Item n, from 1, in proportion to 1 / n^S.
    Zipf(f64),
    /// As a file says.
    Weights(PathBuf),
}

/// An item with its weight, from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    /// Name of the item.
    pub name: String,
    /// Its weight; shares are weights over their sum.
    pub weight: f64,
}

/// A spread that is none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "not a spread: write uniform, zipf(1.1) with an exponent of 0 to 10, or the name of a .csv file with lines NAME,WEIGHT"
)]
pub struct SpreadError;

/// Weights that cannot be drawn from. The operator's fault.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line is of no use.
    #[error("{}, line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// There is nothing to choose from, or too much.
    #[error("{0} items to choose from: 1 to {MAX_ITEMS} are possible")]
    Items(usize),
    /// No item has a weight.
    #[error("all weights are 0: give at least one item a weight")]
    NoWeight,
}

/// What is wrong with a line of weights.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LineProblem {
    /// There are not two fields.
    #[error("not NAME,WEIGHT: write acme,2.5")]
    Fields,
    /// The name is empty or has characters that fit into no name.
    #[error("{0:?} is no name: use letters, digits, '.', '-' and '_'")]
    Name(String),
    /// The weight is no number.
    #[error("{0:?} is no weight: write a number from 0 to 1e12")]
    Weight(String),
    /// The name has been on an earlier line.
    #[error("{name:?} is on line {first} already: name each item once")]
    Twice {
        /// The name.
        name: String,
        /// Where it was first.
        first: usize,
    },
}

impl FromStr for Spread {
    type Err = SpreadError;

    fn from_str(text: &str) -> Result<Self, SpreadError> {
        if text == "uniform" {
            return Ok(Spread::Uniform);
        }
        if let Some(rest) = text.strip_prefix("zipf(") {
            let exponent = rest.strip_suffix(')').and_then(|n| n.parse::<f64>().ok());
            let exponent = exponent.filter(|n| (0.0..=10.0).contains(n));
            return exponent.map(Spread::Zipf).ok_or(SpreadError);
        }
        match Path::new(text).extension() {
            Some(extension) if extension == "csv" => Ok(Spread::Weights(text.into())),
            _ => Err(SpreadError),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spread::Uniform => f.write_str("uniform"),
            Spread::Zipf(exponent) => write!(f, "zipf({exponent})"),
            Spread::Weights(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Spread {
    /// The weights of so many items; none where a file has them.
    pub fn weights(&self, items: usize) -> Option<Vec<f64>> {
        match self {
            Spread::Uniform => Some(vec![1.0; items]),
            Spread::Zipf(exponent) => Some(zipf(items, *exponent)),
            Spread::Weights(_) => None,
        }
    }
}

/// The weights of `items` items in proportion to 1 / n^`exponent`; 0 makes them even.
pub fn zipf(items: usize, exponent: f64) -> Vec<f64> {
    (1..=items).map(|n| (n as f64).powf(-exponent)).collect()
}

/// Reads lines of `NAME,WEIGHT`. Empty lines and those that begin with `#` are left out.
///
/// # Errors
///
/// When the file cannot be read, or a line is of no use.
pub fn read_weights(files: &Files, path: &Path) -> Result<Vec<Weighted>, WeightsError> {
    read(files, path, None)
}

/// Reads lines of `NAME` or `NAME,WEIGHT` alike; a name by itself has the weight 1.
///
/// # Errors
///
/// When the file cannot be read, or a line is of no use.
pub fn read_names(files: &Files, path: &Path) -> Result<Vec<Weighted>, WeightsError> {
    read(files, path, Some(1.0))
}

/// Reads lines, of which those without a weight have that of `lone`.
fn read(files: &Files, path: &Path, lone: Option<f64>) -> Result<Vec<Weighted>, WeightsError> {
    let unreadable = |error| WeightsError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let bytes = files.read(path, MAX_FILE_BYTES).map_err(unreadable)?;
    let text = str::from_utf8(&bytes)
        .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    parse_weights(text, lone).map_err(|(line, problem)| WeightsError::Line {
        path: path.to_owned(),
        line,
        problem,
    })
}

fn parse_weights(text: &str, lone: Option<f64>) -> Result<Vec<Weighted>, (usize, LineProblem)> {
    let mut seen = std::collections::HashMap::new();
    let mut all = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let item = parse_line(line, lone).map_err(|problem| (n + 1, problem))?;
        if let Some(first) = seen.insert(item.name.clone(), n + 1) {
            let name = item.name;
            return Err((n + 1, LineProblem::Twice { name, first }));
        }
        all.push(item);
    }
    Ok(all)
}

fn parse_line(line: &str, lone: Option<f64>) -> Result<Weighted, LineProblem> {
    let (name, weight) = match (line.split_once(','), lone) {
        (Some((name, weight)), _) => {
            let weight = weight.trim();
            let number = parse_weight(weight);
            let wrong = || LineProblem::Weight(weight.to_owned());
            (name.trim(), number.ok_or_else(wrong))
        }
        (None, Some(weight)) => (line, Ok(weight)),
        (None, None) => return Err(LineProblem::Fields),
    };
    if !is_name(name) {
        return Err(LineProblem::Name(name.to_owned()));
    }
    Ok(Weighted {
        name: name.to_owned(),
        weight: weight?,
    })
}

/// A weight; none when it is no number, or one that fits nowhere.
pub fn parse_weight(text: &str) -> Option<f64> {
    let number = text.parse::<f64>().ok();
    number.filter(|number| (0.0..=1e12).contains(number))
}

/// Whether `text` fits into a host name, a path, a header field and a file name as it stands.
pub fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !text.is_empty() && text.len() <= 253 && text.bytes().all(fits) && !text.starts_with('.')
}

/// A table to draw items from.
#[derive(Debug, Clone)]
pub struct Choice {
    columns: Vec<Column>,
}

/// An item that keeps a part of its column, and the one that has the rest.
#[derive(Debug, Clone, Copy)]
struct Column {
    /// The own part, of 2^64.
    keeps: u64,
    alias: u32,
}

impl Choice {
    /// A table of items with these weights, by their places.
    ///
    /// # Errors
    ///
    /// When there are none, too many, or none with a weight.
    pub fn new(weights: &[f64]) -> Result<Self, WeightsError> {
        let items = weights.len();
        if items == 0 || items > MAX_ITEMS {
            return Err(WeightsError::Items(items));
        }
        let sum: f64 = weights.iter().sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(WeightsError::NoWeight);
        }
        // Each column is as high as the mean: what an item has beyond fills others' columns up.
        let mut height: Vec<f64> = weights.iter().map(|w| w / sum * items as f64).collect();
        let (mut low, mut high): (Vec<usize>, Vec<usize>) =
            (0..items).partition(|item| height[*item] < 1.0);
        let full = |item: usize| Column {
            keeps: u64::MAX,
            alias: item as u32,
        };
        let mut columns: Vec<_> = (0..items).map(full).collect();
        while let (Some(short), Some(tall)) = (low.pop(), high.last().copied()) {
            columns[short] = Column {
                // Casting saturates.
                keeps: (height[short] * 2f64.powi(64)) as u64,
                alias: tall as u32,
            };
            height[tall] -= 1.0 - height[short];
            if height[tall] < 1.0 {
                high.pop();
                low.push(tall);
            }
        }
        // What rounding left over is full, but an item without weight is never drawn.
        for item in low {
            if weights[item] == 0.0 {
                let heaviest = (0..items).max_by(|a, b| weights[*a].total_cmp(&weights[*b]));
                columns[item] = Column {
                    keeps: 0,
                    alias: heaviest.unwrap_or(0) as u32,
                };
            }
        }
        Ok(Self { columns })
    }

    /// A table of items that are drawn alike.
    ///
    /// # Errors
    ///
    /// When there are none, or too many.
    pub fn uniform(items: usize) -> Result<Self, WeightsError> {
        Self::new(&vec![1.0; items])
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.columns.len()
    }

    /// The place of one item.
    pub fn draw(&self, random: &mut Random) -> usize {
        self.pick(random.next_u64())
    }

    /// The item that these 64 random bits stand for: their product with the number of items has the
    /// column above, and what decides inside it below.
    pub fn pick(&self, bits: u64) -> usize {
        let product = u128::from(bits) * self.columns.len() as u128;
        let (column, within) = ((product >> 64) as usize, product as u64);
        let Column { keeps, alias } = self.columns[column];
        match within < keeps || keeps == u64::MAX {
            true => column,
            false => alias as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statistic of Pearson's test over the items that are expected at least five times.
    fn chi_square(counts: &[u64], weights: &[f64]) -> (f64, usize) {
        let n: u64 = counts.iter().sum();
        let sum: f64 = weights.iter().sum();
        let expected = |weight: &f64| weight / sum * n as f64;
        let cells = counts.iter().zip(weights);
        let cells: Vec<_> = cells.filter(|(_, w)| expected(w) >= 5.0).collect();
        let statistic = cells.iter().map(|(count, weight)| {
            let expected = expected(weight);
            (**count as f64 - expected).powi(2) / expected
        });
        (statistic.sum(), cells.len())
    }

    fn drawn(weights: &[f64], n: usize, seed: u64) -> Vec<u64> {
        let choice = Choice::new(weights).unwrap();
        let mut random = Random::new(seed, 0);
        let mut counts = vec![0; weights.len()];
        for _ in 0..n {
            counts[choice.draw(&mut random)] += 1;
        }
        counts
    }

    #[test]
    fn draws_have_the_shares_that_were_asked_for() {
        let spreads = [
            vec![1.0; 10],
            vec![1.0; 1000],
            zipf(100, 1.1),
            zipf(5_000, 0.7),
            vec![5.0, 0.0, 1.0, 0.25, 3.75],
            vec![1e-9, 1e9],
            vec![7.0],
        ];
        for (seed, weights) in spreads.iter().enumerate() {
            let counts = drawn(weights, 200_000, seed as u64);
            let (statistic, cells) = chi_square(&counts, weights);
            // Its mean is cells - 1 and its variance twice that; the seeds are fixed.
            let freedom = cells.saturating_sub(1) as f64;
            let limit = freedom + 4.0 * (2.0 * freedom).sqrt() + 1e-9;
            assert!(statistic <= limit, "{seed}: {statistic} > {limit}");
            for (count, weight) in counts.iter().zip(weights) {
                assert!(*count == 0 || *weight > 0.0, "drawn without a weight");
            }
        }
        // The test would see another distribution.
        let even = drawn(&vec![1.0; 100], 200_000, 1);
        assert!(chi_square(&even, &zipf(100, 0.1)).0 > 1_000.0);
    }

    #[test]
    fn a_seed_gives_exactly_these_draws() {
        let choice = Choice::new(&zipf(8, 1.0)).unwrap();
        let mut random = Random::new(42, 7);
        let drawn: Vec<_> = (0..20).map(|_| choice.draw(&mut random)).collect();
        let exact = [1, 1, 1, 6, 3, 7, 4, 0, 3, 0, 2, 0, 7, 0, 4, 0, 3, 7, 5, 0];
        assert_eq!(drawn, exact);
        assert_eq!(choice.items(), 8);
    }

    #[test]
    fn the_ends_of_the_random_numbers_are_items() {
        for weights in [vec![1.0; 3], zipf(1000, 2.0), vec![0.0, 0.0, 1.0]] {
            let choice = Choice::new(&weights).unwrap();
            for bits in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
                assert!(weights[choice.pick(bits)] > 0.0);
            }
        }
        assert!(matches!(Choice::new(&[]), Err(WeightsError::Items(0))));
        assert!(matches!(
            Choice::new(&[0.0, 0.0]),
            Err(WeightsError::NoWeight)
        ));
    }

    #[test]
    fn spreads_are_read_and_written() {
        for text in ["uniform", "zipf(1.1)", "zipf(0)", "/a/b.csv"] {
            assert_eq!(text.parse::<Spread>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "zipf",
            "zipf()",
            "zipf(-1)",
            "zipf(nan)",
            "even",
            "zipf(11)",
        ] {
            assert_eq!(text.parse::<Spread>(), Err(SpreadError), "{text}");
        }
    }

    #[test]
    fn bad_lines_are_named_with_what_would_be_right() {
        let good = "# shares\nacme,2.5\n\nglobex , 1\r\n";
        let read = parse_weights(good, None).unwrap();
        let read: Vec<_> = read.iter().map(|w| (w.name.as_str(), w.weight)).collect();
        assert_eq!(read, [("acme", 2.5), ("globex", 1.0)]);
        for (text, line, says) in [
            ("acme,1\nglobex", 2, "not NAME,WEIGHT"),
            ("acme,1\n\nb,x", 3, "\"x\" is no weight"),
            ("acme,-1", 1, "no weight"),
            ("acme,nan", 1, "no weight"),
            ("a/b,1", 1, "no name"),
            (",1", 1, "no name"),
            ("a,1\nb,1\na,2", 3, "on line 1 already"),
        ] {
            let (at, problem) = parse_weights(text, None).unwrap_err();
            assert_eq!(at, line, "{text}");
            assert!(problem.to_string().contains(says), "{problem}");
        }
    }
}
