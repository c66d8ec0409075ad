//! Objects by number, behind one path: which one an operation touches, and how large it is.
//!
//! An object has one size, whatever operation touches it, so whoever gets it knows what has to come
//! back, byte for byte.

use crate::{
    operation::size::Size,
    schedule::{choice::Choice, random::Random},
};

/// The streams of chance that objects and their sizes are drawn from.
const PICK: u64 = 0x0b1e_c700;
const SIZES: u64 = 0x0b1e_c751;

/// The objects of one operation.
#[derive(Debug, Clone)]
pub struct Objects {
    /// Which one comes next.
    pub pick: Pick,
    /// How large they are; none when that is not known.
    pub size: Option<Size>,
    /// Where chance comes from.
    pub seed: u64,
}

/// How objects are picked.
#[derive(Debug, Clone)]
pub enum Pick {
    /// By chance.
    Drawn(Choice),
    /// One after the other, so many, and again.
    InTurn(u64),
}

impl Objects {
    /// The object, from 1, of a worker's operation with this number.
    pub fn number(&self, worker: u64, number: u64) -> u64 {
        match &self.pick {
            Pick::Drawn(choice) => {
                let mut random = Random::new(self.seed ^ PICK, worker << 48 | number);
                choice.draw(&mut random) as u64 + 1
            }
            Pick::InTurn(objects) => number % objects + 1,
        }
    }

    /// The size of an object of a tenant, in bytes; none when it is not known.
    pub fn size(&self, tenant: usize, object: u64) -> Option<u64> {
        let stream = (tenant as u64) << 32 ^ object;
        let mut random = Random::new(self.seed ^ SIZES, stream);
        Some(self.size?.draw(&mut random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_one_size_and_all_are_picked() {
        let objects = Objects {
            pick: Pick::Drawn(Choice::uniform(5).unwrap()),
            size: Some(Size::Uniform(1, 1_000_000)),
            seed: 3,
        };
        let mut seen: Vec<_> = (0..200).map(|n| objects.number(0, n)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [1, 2, 3, 4, 5]);
        assert_eq!(objects.size(1, 2), objects.size(1, 2));
        assert_ne!(objects.size(1, 2), objects.size(2, 2));
        assert_ne!(objects.size(1, 2), objects.size(1, 3));
        let turns = Objects {
            pick: Pick::InTurn(2),
            ..objects
        };
        let seen: Vec<_> = (0..4).map(|n| turns.number(0, n)).collect();
        assert_eq!(seen, [1, 2, 1, 2]);
    }
}
