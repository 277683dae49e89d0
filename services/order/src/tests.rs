//! The saga of an order: every step repeated, every step cut off, everything else at the same time.

mod measuring;
mod placing;
mod settling;
