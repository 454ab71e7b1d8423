//! Who comes last, without waiting.

use std::sync::atomic::Ordering::AcqRel;

use super::sync::AtomicUsize;

/// Members of a team that have not yet done something.
pub(crate) struct Countdown(AtomicUsize);

impl Countdown {
    /// For this number of members.
    pub(crate) fn new(members: usize) -> Self {
        Countdown(AtomicUsize::new(members))
    }

    /// The calling member has done it. True for the last one, which sees all that the others wrote before.
    ///
    /// Each call continues the release sequences of those before it, and acquires what they released.
    #[inline]
    pub(crate) fn is_last(&self) -> bool {
        self.0.fetch_sub(1, AcqRel) == 1
    }
}
