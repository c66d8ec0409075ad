//! Polynomials over GF(256) with the modulus x^8 + x^4 + x^3 + x + 1. Without tables, so that no secret is an address.

use zeroize::Zeroizing;

/// The value at `x` of the polynomial through `points`, byte by byte. The points' own x differ, and their values are of one length.
pub(super) fn interpolate(points: &[(u8, &[u8])], x: u8) -> Zeroizing<Vec<u8>> {
    let len = points.first().map_or(0, |(_, value)| value.len());
    let mut result = Zeroizing::new(vec![0; len]);
    for (at, value) in points {
        let basis = points
            .iter()
            .filter(|(other, _)| other != at)
            .fold(1, |basis, (other, _)| {
                multiply(basis, multiply(x ^ other, inverse(at ^ other)))
            });
        for (sum, byte) in result.iter_mut().zip(value.iter()) {
            *sum ^= multiply(basis, *byte);
        }
    }
    result
}

fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & ((b >> bit) & 1).wrapping_neg();
        a = (a << 1) ^ (0x1B & (a >> 7).wrapping_neg());
    }
    product
}

/// a^254, which is 1/a.
fn inverse(a: u8) -> u8 {
    let (mut power, mut result) = (a, 1);
    for _ in 1..8 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_are_inverse() {
        assert!((1..=255).all(|a| multiply(a, inverse(a)) == 1));
        assert_eq!(multiply(0x57, 0x83), 0xC1, "FIPS 197, 4.2");
    }

    #[test]
    fn a_polynomial_goes_through_its_points() {
        let points: [(u8, &[u8]); 3] = [(0, &[1, 9]), (7, &[200, 0]), (255, &[3, 77])];
        for (x, value) in points {
            assert_eq!(*interpolate(&points, x), value);
        }
    }
}
