//! All SQL: the source's, which is only read, and that of our own tables.

mod entity;
mod offers;
mod progress;
mod source;

pub use self::source::{SourceAddress, SourceTls};
pub(crate) use self::{
    entity::offer::Model as OfferRow,
    offers::{offers, offers_after, offers_count, put_offers, remove_offers},
    progress::{
        Begin, MadeRow, ProgressRow, advance, clear_errors, errors, errors_of, forget_source, made, progress,
        put_errors, put_made, refused, remove_made, start_pass,
    },
    source::{Clocks, Part, START, Source, whole},
};
