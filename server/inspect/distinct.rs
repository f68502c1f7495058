//! Turns a stream of values into about how many different ones there were, in 4 KiB.
//!
//! Algorithm: P. Flajolet, É. Fusy, O. Gandouet, F. Meunier, "`HyperLogLog`: the
//! analysis of a near-optimal cardinality estimation algorithm" (2007), with
//! its linear counting for few values; the standard error is 1.6 %.

use xxhash_rust::xxh3::xxh3_64;

/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 12;
const REGISTERS: u16 = 1 << INDEX_BITS;
/// The correction for the mean of so many registers.
const ALPHA: f64 = 0.7213 / (1.0 + 1.079 / 4096.0);

/// A set of values, of which only the size is known, and that roughly.
pub(super) struct Distinct {
    /// The longest run of zeros, plus one, among hashes of each register.
    registers: Vec<u8>,
}

impl Distinct {
    pub(super) fn new() -> Self {
        Self { registers: vec![0; usize::from(REGISTERS)] }
    }

    #[inline]
    pub(super) fn add(&mut self, value: &[u8]) {
        let hash = xxh3_64(value);
        let index = usize::try_from(hash >> (u64::BITS - INDEX_BITS)).unwrap_or(0);
        let rest = hash << INDEX_BITS;
        let rank = rest.leading_zeros().min(u64::BITS - INDEX_BITS) + 1;
        let rank = u8::try_from(rank).unwrap_or(u8::MAX);
        if let Some(register) = self.registers.get_mut(index) {
            *register = rank.max(*register);
        }
    }

    /// About how many different values were added.
    pub(super) fn estimate(&self) -> u64 {
        let count = f64::from(REGISTERS);
        let inverse: f64 = self.registers.iter().map(|rank| (-f64::from(*rank)).exp2()).sum();
        let raw = ALPHA * count * count / inverse;
        let empty: u16 = self.registers.iter().map(|rank| u16::from(*rank == 0)).sum();
        let estimate = if raw <= 2.5 * count && empty > 0 {
            count * (count / f64::from(empty)).ln()
        } else {
            raw
        };
        // There is no checked conversion from floating-point numbers but this one.
        format!("{estimate:.0}").parse().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(values: u32) -> u64 {
        let mut distinct = Distinct::new();
        for round in 0..2 * values {
            distinct.add(format!("value {}", round % values.max(1)).as_bytes());
        }
        distinct.estimate()
    }

    #[test]
    fn few_values_are_counted_well() {
        assert_eq!(estimate(0), 0);
        assert_eq!(estimate(1), 1);
        assert!((98..=102).contains(&estimate(100)));
    }

    #[test]
    fn many_values_are_within_a_few_percent() {
        assert!((4_700..=5_300).contains(&estimate(5_000)));
        assert!((94_000..=106_000).contains(&estimate(100_000)));
    }
}
