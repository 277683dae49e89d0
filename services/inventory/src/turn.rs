//! How far background work that goes through all SKUs has come.

use std::sync::{Mutex, PoisonError};

use contracts::catalog::SkuId;

/// The SKU that was looked at last; none at the beginning.
#[derive(Debug, Default)]
pub(crate) struct Turn(Mutex<Option<SkuId>>);

impl Turn {
    pub(crate) fn last(&self) -> Option<SkuId> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, last: Option<SkuId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}
