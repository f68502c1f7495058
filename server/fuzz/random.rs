//! Turns a seed into numbers, choices and bytes (splitmix64): the same seed gives the same case.

use std::time::UNIX_EPOCH;

/// Numbers from a seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % bound as u64).expect("it is below a usize")
    }

    /// Something that happens once in so many times.
    pub(super) fn is_one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[0]
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}

/// The seed that `FERRY_SEED` gives, else one of the clock.
pub(super) fn seed_of_environment() -> u64 {
    let given = std::env::var("FERRY_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let since_1970 = UNIX_EPOCH.elapsed().expect("it is after 1970");
        u64::from(since_1970.subsec_nanos()) ^ (since_1970.as_secs() << 20)
    })
}

/// Whether the long version of a test was asked for.
pub(super) fn is_soak() -> bool {
    std::env::var("FERRY_SOAK").is_ok_and(|value| value == "1")
}
