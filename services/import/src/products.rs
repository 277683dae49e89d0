//! Products of a Shopify CSV, in the order in which they are complete.
//!
//! A row belongs to the product of its handle, wherever in the file it stands. The file is read twice: once to count rows and
//! to see which handles come in several places, then for its products; one that comes in several places waits for the last.
//! Reading the same file again gives the same products in the same order, which is how an import goes on after a crash.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    sync::Arc,
};

use contracts::import::ImportError;
use kernel::{Currency, Failure, Result, code, normalise};

use crate::{
    cells::{Cells, Wrong},
    columns::{Columns, Field},
    handle::Handle,
    product::{Building, Parsed},
    rows::{Next, Rows},
};

/// What a first look at a file tells.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Rows below the header that are not empty.
    pub(crate) rows: u64,
    /// Handles that come in several places, by hash, with the number of places.
    scattered: HashMap<u64, u32>,
}

/// A product, or what is wrong where there is none.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) product: Option<Parsed>,
    pub(crate) errors: Vec<ImportError>,
    /// Rows read when it was complete.
    pub(crate) rows: u64,
}

/// Products of a file.
pub(crate) struct Products<R> {
    rows: Rows<R>,
    columns: Arc<Columns>,
    currency: Currency,
    /// Places still to come of handles that come in several.
    scattered: HashMap<u64, u32>,
    current: Option<Building>,
    parked: HashMap<u64, Building>,
    ready: VecDeque<Entry>,
    /// Errors of rows that belong to no product.
    loose: Vec<ImportError>,
    rows_read: u64,
    /// Whether the row before could not be read, nor whose it is.
    doubt: bool,
    ended: bool,
}

impl Survey {
    /// Reads the whole file.
    pub(crate) fn of<R: Read>(input: R) -> Result<Self> {
        let mut rows = Rows::new(input).map_err(unreadable)?;
        let columns = header(&mut rows)?;
        let mut survey = Self::default();
        let mut seen: HashSet<u64> = HashSet::new();
        let mut current: Option<u64> = None;
        while let Some(next) = rows.next().map_err(unreadable)? {
            survey.rows += 1;
            let Next::Row(line, cells) = next else { continue };
            if is_blank(&cells) {
                continue;
            }
            let row = Cells { line, columns: &columns, cells: lossy(cells) };
            let Some(key) = handle_of(&row).map(|handle| key(&handle.slug)) else { continue };
            if current != Some(key) && !seen.insert(key) {
                *survey.scattered.entry(key).or_insert(1) += 1;
            }
            current = Some(key);
        }
        Ok(survey)
    }
}

impl<R: Read> Products<R> {
    /// Begins to read a file that was surveyed.
    pub(crate) fn new(input: R, survey: &Survey, currency: Currency) -> Result<Self> {
        let mut rows = Rows::new(input).map_err(unreadable)?;
        let columns = Arc::new(header(&mut rows)?);
        Ok(Self {
            rows,
            columns,
            currency,
            scattered: survey.scattered.clone(),
            current: None,
            parked: HashMap::new(),
            ready: VecDeque::new(),
            loose: Vec::new(),
            rows_read: 0,
            doubt: false,
            ended: false,
        })
    }

    /// The file's columns.
    pub(crate) fn columns(&self) -> &Arc<Columns> {
        &self.columns
    }

    /// Up to `most` entries; none at the end of the file.
    pub(crate) fn batch(&mut self, most: usize) -> Result<Vec<Entry>> {
        while self.ready.len() < most && !self.ended {
            match self.rows.next().map_err(unreadable)? {
                Some(next) => self.take(next),
                None => self.end(),
            }
        }
        Ok(self.ready.drain(..most.min(self.ready.len())).collect())
    }

    fn take(&mut self, next: Next) {
        self.rows_read += 1;
        let (line, cells) = match next {
            Next::Row(line, cells) => (line, cells),
            Next::Malformed(line, reason) => {
                let wrong = Wrong { line, column: None, reason: reason.to_owned() };
                self.doubt = true;
                match &mut self.current {
                    Some(building) => building.wrong.push(wrong),
                    None => self.loose.push(wrong.about("")),
                }
                return;
            }
        };
        if is_blank(&cells) {
            return;
        }
        let doubt = std::mem::take(&mut self.doubt);
        let odd = self.check(line, &cells);
        if odd.is_some() {
            // Its handle may be wrong too: then it is the product's before it or after it.
            self.doubt = true;
            self.current.iter_mut().for_each(|building| building.doubtful = true);
        }
        let columns = Arc::clone(&self.columns);
        let row = Cells { line, columns: &columns, cells: lossy(cells) };
        if let Some(handle) = handle_of(&row) {
            self.turn_to(handle, line);
        }
        let Some(building) = &mut self.current else {
            let reason = "the row has neither handle nor title, and there is no product before it".to_owned();
            self.loose.push(Wrong { line, column: self.columns.name(Field::Handle), reason }.about(""));
            return;
        };
        building.doubtful |= doubt;
        match odd {
            Some(wrong) => building.wrong.push(wrong),
            None => building.add(&row, self.currency),
        }
    }

    /// What is wrong with a row before its cells are looked at.
    fn check(&self, line: u64, cells: &[Vec<u8>]) -> Option<Wrong> {
        // Fewer cells than columns: spreadsheets leave the blank ones at the end out.
        if cells.iter().skip(self.columns.len()).any(|cell| !cell.trim_ascii().is_empty()) {
            let reason = format!("the row has {} cells, the header has {}", cells.len(), self.columns.len());
            return Some(Wrong { line, column: None, reason });
        }
        let garbled = self
            .columns
            .read_ones()
            .find(|(at, _)| cells.get(*at).is_some_and(|cell| std::str::from_utf8(cell).is_err()));
        garbled.map(|(_, name)| {
            let reason = "is not UTF-8; save the file as UTF-8".to_owned();
            Wrong { line, column: Some(name.to_owned()), reason }
        })
    }

    /// Makes the product of `handle` the current one.
    fn turn_to(&mut self, handle: Handle, line: u64) {
        if self.current.as_ref().is_some_and(|building| building.handle == handle.slug) {
            return;
        }
        self.put_aside();
        let parked = self.parked.remove(&key(&handle.slug));
        self.current = Some(parked.unwrap_or_else(|| Building::new(handle, line)));
    }

    /// Parks the current product where more of it comes, and finishes it otherwise.
    fn put_aside(&mut self) {
        let Some(building) = self.current.take() else { return };
        let key = key(&building.handle);
        if let Some(places) = self.scattered.get_mut(&key) {
            *places = places.saturating_sub(1);
            if *places > 0 {
                self.parked.insert(key, building);
                return;
            }
        }
        let (product, mut errors) = building.finish(&self.columns);
        errors.splice(0..0, self.loose.drain(..));
        self.ready.push_back(Entry { product, errors, rows: self.rows_read });
    }

    fn end(&mut self) {
        self.ended = true;
        self.put_aside();
        // None waits for more by now; a file that changed between two reads loses nothing.
        let mut rest: Vec<Building> = self.parked.drain().map(|(_, building)| building).collect();
        rest.sort_by(|a, b| a.handle.cmp(&b.handle));
        self.scattered.clear();
        for building in rest {
            self.current = Some(building);
            self.put_aside();
        }
        if !self.loose.is_empty() {
            let errors = std::mem::take(&mut self.loose);
            self.ready.push_back(Entry { product: None, errors, rows: self.rows_read });
        }
    }
}

/// A file that cannot be read as a whole.
pub(crate) fn unreadable(error: std::io::Error) -> Failure {
    Failure::new(code::INVALID).detail(format!("the file cannot be read: {error}"))
}

fn header<R: Read>(rows: &mut Rows<R>) -> Result<Columns> {
    match rows.next().map_err(unreadable)? {
        Some(Next::Row(_, cells)) => Columns::read(&cells),
        Some(Next::Malformed(_, reason)) => {
            Err(Failure::new(code::INVALID).detail(format!("the header: {reason}")))
        }
        None => Err(Failure::new(code::INVALID).detail("the file is empty")),
    }
}

fn is_blank(cells: &[Vec<u8>]) -> bool {
    cells.iter().all(|cell| cell.trim_ascii().is_empty())
}

fn lossy(cells: Vec<Vec<u8>>) -> Vec<String> {
    let text = |cell: Vec<u8>| {
        String::from_utf8(cell).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    };
    cells.into_iter().map(text).collect()
}

fn key(handle: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    handle.hash(&mut hasher);
    hasher.finish()
}

/// The handle a row belongs to: its own, or one made of its title; none for a row that goes on with the product before it.
fn handle_of(row: &Cells<'_>) -> Option<Handle> {
    let (handle, title) = (row.get(Field::Handle), row.get(Field::Title));
    [handle, title].into_iter().find(|text| !normalise(text).is_empty()).map(Handle::of)
}

#[cfg(test)]
mod tests;
