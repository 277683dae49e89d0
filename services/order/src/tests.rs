//! The saga of an order: every step repeated, every step cut off, everything else at the same time.

mod placing;
mod settling;
