//! Values every part of Meridian speaks in: money, typed ids that carry their shard, time, errors and pages.
//!
//! Pure: nothing here reads a clock, a random source or a file by itself, except through [`Clock`] and [`Ids`],
//! which the platform hands out.

mod clock;
mod error;
mod id;
mod ids;
mod money;
mod page;
mod region;
mod secret;
mod shard;
mod text;

pub use clock::{Clock, FakeClock, SystemClock, Timestamp};
pub use error::{Code, Failure, FieldError, Problem, Result, code};
pub use id::{Id, IdError, Kind};
pub use ids::Ids;
pub use iso_currency::Currency;
pub use money::{Money, MoneyError, Rounding, currency_digits};
pub use page::{Cursors, MAX_LIMIT, Page, page_limit};
pub use region::{Epoch, Region};
pub use secret::masked;
pub use shard::{MAX_SHARDS, Shard};
pub use text::normalise;
