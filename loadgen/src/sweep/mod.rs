//! A grid of flags, and the order in which its cells are run: without clock and I/O.

use std::str::FromStr;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::schedule::random::Random;

/// Cells of a grid: beyond, nobody waits for the end.
pub const MAX_CELLS: usize = 1000;

/// A flag and the values that it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dimension {
    /// The long name of the flag.
    pub name: String,
    /// Its values as they were written.
    pub values: Vec<String>,
}

/// A dimension that is none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DimensionError {
    /// Not a name and values.
    #[error(
        "not a flag with values: write connections=1,8,64, or size=8k;lognorm:8k,1.2 where values have commas"
    )]
    Shape,
    /// A value twice.
    #[error("{0} stands there twice: name each value once")]
    Twice(String),
}

impl FromStr for Dimension {
    type Err = DimensionError;

    fn from_str(text: &str) -> Result<Self, DimensionError> {
        let (name, values) = text.split_once('=').ok_or(DimensionError::Shape)?;
        let name = name.trim_start_matches('-');
        let separator = if values.contains(';') { ';' } else { ',' };
        let values: Vec<_> = values.split(separator).map(str::to_owned).collect();
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name || values.iter().any(String::is_empty) {
            return Err(DimensionError::Shape);
        }
        for (n, value) in values.iter().enumerate() {
            if values[..n].contains(value) {
                return Err(DimensionError::Twice(value.clone()));
            }
        }
        Ok(Self {
            name: name.to_owned(),
            values,
        })
    }
}

/// In which order the cells are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// In each round another one, by the seed: what drifts on the machine meets all cells alike.
    Random,
    /// In each round the same one.
    Interleaved,
}

/// A grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid(Vec<Dimension>);

/// A grid that is none. The operator's fault.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GridError {
    /// Too many cells.
    #[error("the grid has {0} cells, and the limit is {MAX_CELLS}: vary less at once")]
    TooLarge(usize),
    /// A flag twice.
    #[error("--vary {0} stands there twice: name all of its values in one")]
    Twice(String),
}

impl Grid {
    /// The grid of these dimensions.
    ///
    /// # Errors
    ///
    /// When it is too large, or names a flag twice.
    pub fn new(dimensions: Vec<Dimension>) -> Result<Self, GridError> {
        for (n, dimension) in dimensions.iter().enumerate() {
            let before = &dimensions[..n];
            if before.iter().any(|other| other.name == dimension.name) {
                return Err(GridError::Twice(dimension.name.clone()));
            }
        }
        let sizes = dimensions.iter().map(|dimension| dimension.values.len());
        let cells = sizes.fold(1, usize::saturating_mul);
        match cells > MAX_CELLS {
            true => Err(GridError::TooLarge(cells)),
            false => Ok(Self(dimensions)),
        }
    }

    /// Its dimensions.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.0
    }

    /// The values of every cell, the last dimension changing fastest.
    pub fn cells(&self) -> Vec<Vec<String>> {
        let mut cells = vec![Vec::new()];
        for dimension in &self.0 {
            let longer = cells.iter().flat_map(|cell| {
                dimension.values.iter().map(|value| {
                    let mut cell = cell.clone();
                    cell.push(value.clone());
                    cell
                })
            });
            cells = longer.collect();
        }
        cells
    }
}

/// The cells of a round in the order in which they are run.
pub fn order(cells: usize, order: Order, seed: u64, round: u32) -> Vec<usize> {
    let mut all: Vec<usize> = (0..cells).collect();
    if order == Order::Random {
        let mut random = Random::new(seed, u64::from(round));
        for last in (1..all.len()).rev() {
            all.swap(last, random.between(0, last as u64) as usize);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimension(text: &str) -> Dimension {
        text.parse().unwrap()
    }

    #[test]
    fn dimensions_are_flags_with_values() {
        let size = dimension("size=100;lognorm:8k,1.2");
        assert_eq!(size.values, ["100", "lognorm:8k,1.2"]);
        assert_eq!(dimension("--rate=1k,2k").name, "rate");
        for text in ["", "rate", "rate=", "=1", "rate=1,,2", "ra te=1"] {
            assert_eq!(
                text.parse::<Dimension>(),
                Err(DimensionError::Shape),
                "{text}"
            );
        }
        let twice = "c=1,2,1".parse::<Dimension>();
        assert_eq!(twice, Err(DimensionError::Twice("1".to_owned())));
    }

    #[test]
    fn a_grid_has_every_combination_once_and_is_bounded() {
        let grid = Grid::new(vec![dimension("a=1,2"), dimension("b=x,y,z")]).unwrap();
        let cells = grid.cells();
        assert_eq!(cells.len(), 6);
        assert_eq!(
            (&cells[0][..], &cells[5][..]),
            (
                &["1".to_owned(), "x".to_owned()][..],
                &["2".to_owned(), "z".to_owned()][..]
            )
        );
        let many: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        let of = |name: &str| Dimension {
            name: name.to_owned(),
            values: many.clone(),
        };
        let error = Grid::new(vec![of("a"), of("b")]).unwrap_err();
        assert_eq!(error, GridError::TooLarge(10_000));
        let error = Grid::new(vec![dimension("a=1"), dimension("a=2")]).unwrap_err();
        assert_eq!(error, GridError::Twice("a".to_owned()));
    }

    #[test]
    fn every_round_has_all_cells_in_an_order_of_the_seed() {
        let first = order(20, Order::Random, 7, 0);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, order(20, Order::Interleaved, 7, 0));
        assert_eq!(first, order(20, Order::Random, 7, 0));
        assert_ne!(first, order(20, Order::Random, 7, 1), "another round");
        assert_ne!(first, order(20, Order::Random, 8, 0), "another seed");
        // Each cell comes first about as often as any other.
        let firsts = (0..6_000).map(|round| order(6, Order::Random, 1, round)[0]);
        let mut counts = [0; 6];
        firsts.for_each(|cell| counts[cell] += 1);
        assert!(
            counts.iter().all(|count| (900..1100).contains(count)),
            "{counts:?}"
        );
    }
}
