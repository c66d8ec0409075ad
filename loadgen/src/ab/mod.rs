//! Two or three targets compared in short slices: which one is next, and what pairs of slices say.
//! Pure: no clock, no socket.
//!
//! ```text
//! order -> slices (A B B A | B A A B | ...) -> Halves of each block -> pair: ln(other / first)
//! ```
//!
//! The host drifts slower than a block lasts, so what it does to one target it does to the others.
//! In a block every target has two slices that lie around the same moment: a drift that is even
//! cancels. Blocks begin with each target alike often, so none always follows the same one.

pub mod pairs;

/// The fewest targets, and the most: one more for the control copy.
pub const TARGETS: std::ops::RangeInclusive<usize> = 2..=3;

/// The orders of two targets, and of three. Every target is in every place of them alike often.
const TWO: [[usize; 2]; 2] = [[0, 1], [1, 0]];
const THREE: [[usize; 3]; 6] = [
    [0, 1, 2],
    [1, 2, 0],
    [2, 0, 1],
    [0, 2, 1],
    [1, 0, 2],
    [2, 1, 0],
];

/// Blocks after which every target was in every place alike often.
pub fn cycle(targets: usize) -> u64 {
    match targets {
        ..=2 => TWO.len() as u64,
        _ => THREE.len() as u64,
    }
}

/// The targets of block `number`, from 0, slice by slice: an order and the same backwards.
pub fn block(number: u64, targets: usize) -> impl Iterator<Item = usize> {
    let turn = (number % cycle(targets)) as usize;
    let order: &'static [usize] = match targets {
        ..=2 => &TWO[turn],
        _ => &THREE[turn],
    };
    order.iter().chain(order.iter().rev()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slices_of_every_target_lie_around_the_middle_of_a_block() {
        for targets in TARGETS {
            for number in 0..cycle(targets) {
                let slices: Vec<_> = block(number, targets).collect();
                assert_eq!(slices.len(), 2 * targets);
                for target in 0..targets {
                    let places = slices.iter().enumerate();
                    let of_it = places.filter(|(_, of)| **of == target);
                    let sum: usize = of_it.map(|(place, _)| place).sum();
                    assert_eq!(sum, slices.len() - 1, "{slices:?}");
                }
            }
        }
        assert_eq!(block(0, 2).collect::<Vec<_>>(), [0, 1, 1, 0]);
    }

    #[test]
    fn no_target_follows_itself_more_often_than_another() {
        for targets in TARGETS {
            let mut follows = vec![vec![0; targets]; targets];
            let cycles = 0..4 * cycle(targets);
            let slices: Vec<_> = cycles.flat_map(|number| block(number, targets)).collect();
            for pair in slices.windows(2) {
                follows[pair[0]][pair[1]] += 1;
            }
            // Of itself: it meets a warm cache, which would be an advantage.
            let of_itself: Vec<_> = (0..targets).map(|n| follows[n][n]).collect();
            let most = of_itself.iter().max();
            let least = of_itself.iter().min();
            assert!(
                most.zip(least)
                    .is_some_and(|(most, least)| most - least <= 1),
                "{follows:?}"
            );
        }
    }
}
