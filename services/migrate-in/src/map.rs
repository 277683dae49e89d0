//! From rows of the source to what domains take in. Pure: what is wrong is the reason that is reported.

mod orders;
mod payments;
mod products;
mod users;

use kernel::Timestamp;

use crate::{
    ids::Ids,
    mapping::Mapping,
    values::{Reason, Record},
};

pub(crate) use self::{
    orders::OrderRows,
    payments::{PaymentRows, refunded},
    products::ProductRows,
};

/// Maps rows.
#[derive(Clone, Debug)]
pub(crate) struct Mapper {
    pub(crate) mapping: Mapping,
    pub(crate) ids: Ids,
}

/// Something that is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Where it is told: the table, or `table.column` of a row that is in without it.
    pub(crate) name: &'static str,
    /// Key of the row.
    pub(crate) key: String,
    /// What.
    pub(crate) reason: Reason,
}

impl Mapper {
    pub(crate) fn new(mapping: Mapping, shards: u16) -> Self {
        let ids = Ids::of(&mapping.source, shards);
        Self { mapping, ids }
    }

    fn offset(&self) -> i64 {
        self.mapping.offset_minutes().unwrap_or(0)
    }

    fn moment(&self, row: &Record, column: &str) -> Result<Option<Timestamp>, Reason> {
        row.moment(column, self.offset())
    }

    /// What a row's status means; `otherwise` where the table has no such column.
    fn meaning<'a>(&'a self, table: &str, row: &Record, otherwise: &'a str) -> Result<&'a str, Reason> {
        if self.mapping.column(table, "status").is_none() {
            return Ok(otherwise);
        }
        let status = row.need("status")?;
        self.mapping.meaning(table, status).ok_or_else(|| format!("unknown status {status:?}"))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A row of these columns.
    pub(crate) fn row(columns: &[(&str, &str)]) -> Record {
        Record(columns.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    pub(crate) fn mapper() -> Mapper {
        Mapper::new(Mapping::read(None).unwrap(), 16)
    }

    /// `row` with other columns.
    pub(crate) fn with(row: &Record, columns: &[(&str, &str)]) -> Record {
        let mut row = row.clone();
        for (name, value) in columns {
            row.0.insert((*name).to_owned(), (*value).to_owned());
        }
        row
    }
}
