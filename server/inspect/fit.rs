//! Turns the answers "this field fits" and "this one does not" into whether a type is still worth asking.

/// Fields that may fail before a type is given up; of many, one in so many more.
const MISFITS_AT_FIRST: u64 = 2;
const VALUES_PER_MISFIT: u64 = 200;
/// A type that fits all values but one in so many is worth a remark.
const REMARK_PER_VALUES: u64 = 100;

/// How well one type fits the fields of one column.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fit {
    fits: u64,
    misfits: u64,
    is_out: bool,
}

impl Fit {
    /// A type that was first asked after so many fields that it does not fit.
    pub(super) fn after_misfits(misfits: u64) -> Self {
        Self { fits: 0, misfits, is_out: misfits > MISFITS_AT_FIRST }
    }

    #[inline]
    pub(super) fn note(&mut self, is_fitting: bool) {
        if is_fitting {
            self.fits += 1;
        } else {
            self.misfits += 1;
            self.is_out |= self.misfits > MISFITS_AT_FIRST + self.fits / VALUES_PER_MISFIT;
        }
    }

    /// Gives the type up for good.
    pub(super) fn give_up(&mut self) {
        self.is_out = true;
    }

    /// Whether it need not be asked any more.
    #[inline]
    pub(super) fn is_out(&self) -> bool {
        self.is_out
    }

    pub(super) fn is_whole(&self) -> bool {
        !self.is_out && self.fits > 0 && self.misfits == 0
    }

    /// Whether all fit but a few; whoever declares the type refuses these.
    pub(super) fn is_nearly_whole(&self) -> bool {
        !self.is_out && self.misfits > 0 && self.misfits * REMARK_PER_VALUES <= self.fits
    }

    pub(super) fn misfits(&self) -> u64 {
        self.misfits
    }

    pub(super) fn fits(&self) -> u64 {
        self.fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_fails_often_is_given_up() {
        let mut fit = Fit::default();
        for is_fitting in [true, false, false] {
            fit.note(is_fitting);
        }
        assert!(!fit.is_out() && !fit.is_whole() && !fit.is_nearly_whole());
        fit.note(false);
        assert!(fit.is_out());
    }

    #[test]
    fn a_type_that_fails_once_in_hundreds_is_nearly_whole() {
        let mut fit = Fit::default();
        for _ in 0..300 {
            fit.note(true);
        }
        assert!(fit.is_whole());
        fit.note(false);
        assert!(fit.is_nearly_whole() && !fit.is_whole());
        assert!(Fit::after_misfits(3).is_out());
    }
}
