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
use kernel::{Currency, Failure, Result, code};
use sha2::{Digest, Sha256};

use crate::{
    columns::{Columns, Field},
    product::{Building, Cells, Parsed, Wrong},
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
            let Some(key) = handle_of(&row).map(|handle| key(&handle)) else { continue };
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
        let odd = self.check(line, &cells);
        let cells = lossy(cells);
        let handle = handle_of(&Cells { line, columns: &self.columns, cells: cells.clone() });
        if let Some(handle) = handle {
            self.turn_to(handle, line);
        }
        let Some(building) = &mut self.current else {
            let reason = "the row has neither handle nor title, and there is no product before it".to_owned();
            self.loose.push(Wrong { line, column: self.columns.name(Field::Handle), reason }.about(""));
            return;
        };
        match odd {
            Some(wrong) => building.wrong.push(wrong),
            None => building.add(&Cells { line, columns: &self.columns, cells }, self.currency),
        }
    }

    /// What is wrong with a row before its cells are looked at.
    fn check(&self, line: u64, cells: &[Vec<u8>]) -> Option<Wrong> {
        // Fewer cells than columns: spreadsheets leave the blank ones at the end out.
        if cells.iter().skip(self.columns.len()).any(|cell| !cell.trim_ascii().is_empty()) {
            let reason = format!("the row has {} cells, the header has {}", cells.len(), self.columns.len());
            return Some(Wrong { line, column: None, reason });
        }
        let garbled = self.columns.read_ones().find(|(at, _)| {
            cells.get(*at).is_some_and(|cell| std::str::from_utf8(cell).is_err())
        });
        garbled.map(|(_, name)| {
            let reason = "is not UTF-8; save the file as UTF-8".to_owned();
            Wrong { line, column: Some(name.to_owned()), reason }
        })
    }

    /// Makes the product of `handle` the current one.
    fn turn_to(&mut self, handle: String, line: u64) {
        if self.current.as_ref().is_some_and(|building| building.handle == handle) {
            return;
        }
        self.put_aside();
        let parked = self.parked.remove(&key(&handle));
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
        Some(Next::Malformed(_, reason)) => Err(Failure::new(code::INVALID).detail(format!("the header: {reason}"))),
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
fn handle_of(row: &Cells<'_>) -> Option<String> {
    let (handle, title) = (row.get(Field::Handle), row.get(Field::Title));
    [handle, title].into_iter().find(|text| !text.is_empty()).map(handle_from)
}

/// A handle as a slug: small letters, digits and single hyphens, other alphabets transliterated; 200 characters at most.
/// The same text always gives the same.
fn handle_from(text: &str) -> String {
    let slug = slug::slugify(text);
    if (1..=200).contains(&slug.len()) {
        return slug;
    }
    let mark = Sha256::digest(text.as_bytes()).iter().take(5).map(|byte| format!("{byte:02x}")).collect::<String>();
    let kept = slug.get(..189).unwrap_or("x").trim_end_matches('-');
    format!("{}-{mark}", if kept.is_empty() { "x" } else { kept })
}

#[cfg(test)]
mod tests {
    use contracts::catalog::ProductInput;

    use super::*;

    const HEADER: &str = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,\
        Option3 Name,Option3 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Variant Compare At Price,\
        Image Src,Image Position,Image Alt Text,Status\n";

    /// A line with these cells, by the header's names.
    fn line(cells: &[(&str, &str)]) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let cell = |name: &str| cells.iter().find(|(known, _)| *known == name).map_or(String::new(), |(_, text)| quoted(text));
        HEADER.trim_end().split(',').map(|name| cell(name.trim())).collect::<Vec<_>>().join(",") + "\n"
    }

    fn import(text: &[u8]) -> (Vec<Parsed>, Vec<ImportError>) {
        let survey = Survey::of(text).unwrap();
        let mut products = Products::new(text, &survey, Currency::USD).unwrap();
        let (mut parsed, mut errors) = (Vec::new(), Vec::new());
        loop {
            let batch = products.batch(2).unwrap();
            if batch.is_empty() {
                return (parsed, errors);
            }
            for entry in batch {
                parsed.extend(entry.product);
                errors.extend(entry.errors);
            }
        }
    }

    fn file(lines: &[String]) -> (Vec<Parsed>, Vec<ImportError>) {
        import(format!("{HEADER}{}", lines.concat()).as_bytes())
    }

    fn product(parsed: &Parsed) -> &ProductInput {
        &parsed.product.product
    }

    fn at(errors: &[ImportError]) -> Vec<(u64, &str)> {
        errors.iter().map(|error| (error.line, error.column.as_deref().unwrap_or(""))).collect()
    }

    #[test]
    fn rows_that_go_on_add_variants_and_images() {
        let (parsed, errors) = file(&[
            line(&[
                ("Handle", "Varsity Top"), ("Title", "Varsity Top"), ("Body (HTML)", "<p>One\nTwo</p>"), ("Vendor", "Acme"),
                ("Type", "Tops"), ("Tags", "women, wool,women"), ("Published", "TRUE"), ("Option1 Name", "Size"),
                ("Option1 Value", "Small"), ("Variant Price", "60"), ("Variant Compare At Price", "75.5"),
                ("Variant Inventory Qty", "3"), ("Variant Grams", "120"), ("Image Src", "https://a.example/2.jpg"), ("Image Position", "2"),
            ]),
            line(&[("Handle", "varsity-top"), ("Option1 Value", "Medium"), ("Variant Price", "60.00"), ("Variant Compare At Price", "50"), ("Variant Inventory Qty", "-2")]),
            line(&[("Handle", "varsity-top"), ("Image Src", "//a.example/1.jpg"), ("Image Position", "1"), ("Image Alt Text", "Front")]),
            line(&[("Option1 Value", "Large"), ("Variant Price", "61")]),
        ]);
        assert_eq!(errors, []);
        let [only] = &parsed[..] else { panic!("{parsed:?}") };
        assert!(only.product.published && only.product.category.as_deref() == Some("Tops"));
        let it = product(only);
        assert_eq!((it.slug.as_deref(), it.brand.as_deref()), (Some("varsity-top"), Some("Acme")));
        assert_eq!(it.description, "<p>One\nTwo</p>");
        assert_eq!(it.options, ["Size"]);
        let sizes: Vec<&str> = it.skus.iter().map(|sku| sku.options[0].value.as_str()).collect();
        assert_eq!(sizes, ["Small", "Medium", "Large"]);
        assert_eq!(it.images.iter().map(|image| image.src.as_str()).collect::<Vec<_>>(), ["https://a.example/1.jpg", "https://a.example/2.jpg"]);
        assert_eq!(it.images[0].alt, "Front");
        let [small, medium, large] = &only.offers[..] else { panic!() };
        assert_eq!((small.price.amount, small.compare_at.map(|it| it.amount), small.quantity), (6_000, Some(7_550), 3));
        assert_eq!((medium.compare_at, medium.quantity), (None, 0), "a price before that is lower, and less than nothing");
        assert_eq!((large.price.amount, large.quantity), (6_100, 0));
    }

    #[test]
    fn default_title_means_no_options() {
        let (parsed, errors) = file(&[
            line(&[("Handle", "pot"), ("Title", "Pot"), ("Option1 Name", "Title"), ("Option1 Value", "Default Title"), ("Variant Price", "5"), ("Published", "false")]),
            line(&[("Handle", "pan"), ("Title", "Pan"), ("Variant Price", "6"), ("Status", "active")]),
            line(&[("Handle", "lid"), ("Title", "Lid"), ("Variant Price", "6"), ("Published", "true"), ("Status", "archived")]),
        ]);
        assert_eq!(errors, []);
        assert!(parsed.iter().all(|it| product(it).options.is_empty() && product(it).skus[0].options.is_empty()));
        assert_eq!(parsed.iter().map(|it| it.product.published).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn a_handle_that_comes_again_later_is_the_same_product() {
        let row = |handle: &str, title: &str, size: &str| {
            line(&[("Handle", handle), ("Title", title), ("Option1 Name", if title.is_empty() { "" } else { "Size" }), ("Option1 Value", size), ("Variant Price", "5")])
        };
        let (parsed, errors) = file(&[
            row("a", "A", "S"), row("b", "B", "S"), row("a", "", "M"), row("c", "C", "S"), row("A!", "", "L"), row("a", "", "S"),
        ]);
        let found: Vec<(&str, usize)> = parsed.iter().map(|it| (it.handle.as_str(), it.offers.len())).collect();
        assert_eq!(found, [("b", 1), ("c", 1), ("a", 3)]);
        assert_eq!(at(&errors), [(7, "Option1 Value")]);
        assert!(errors[0].reason.contains("line 2"), "{}", errors[0].reason);
    }

    #[test]
    fn wrong_rows_are_named_and_the_rest_is_in() {
        let good = |handle: &str| line(&[("Handle", handle), ("Title", "Good"), ("Variant Price", "5"), ("Option1 Name", "Size"), ("Option1 Value", "S")]);
        let more = |cells: &[(&str, &str)]| line(&[&[("Handle", "a")], cells].concat());
        let (parsed, errors) = file(&[
            good("a"),                                                                                        // 2
            more(&[("Option1 Value", "M"), ("Variant Price", "1,299.00")]),                                   // 3
            more(&[("Option1 Value", "L"), ("Variant Price", "$5")]),                                         // 4
            more(&[("Option1 Value", "XL"), ("Variant Price", "-5")]),                                        // 5
            more(&[("Option1 Value", "XXL")]),                                                                // 6
            more(&[("Option1 Value", "3XL"), ("Variant Price", "5"), ("Variant Inventory Qty", "many")]),     // 7
            more(&[("Option2 Value", "Red"), ("Option1 Value", "4XL"), ("Variant Price", "5")]),              // 8
            more(&[("Variant Price", "5"), ("Variant SKU", "X")]),                                            // 9
            more(&[("Image Src", "ftp://x/y.png")]),                                                          // 10
            line(&[("Handle", "b"), ("Variant Price", "5")]),                                                 // 11: no title
            good("c"),                                                                                        // 12
            line(&[("Handle", "d"), ("Title", "D")]),                                                         // 13: no variant
        ]);
        assert_eq!(parsed.iter().map(|it| (it.handle.as_str(), it.offers.len())).collect::<Vec<_>>(), [("a", 1), ("c", 1)]);
        assert_eq!(
            at(&errors),
            [
                (3, "Variant Price"), (4, "Variant Price"), (5, "Variant Price"), (6, "Variant Price"), (7, "Variant Inventory Qty"),
                (8, "Option2 Value"), (9, "Option1 Value"), (10, "Image Src"), (11, "Title"), (13, "Variant Price"),
            ]
        );
        assert!(errors[0].reason.contains("1,299.00"), "{}", errors[0].reason);
    }

    #[test]
    fn ragged_garbled_and_open_rows_cost_themselves_only() {
        let mut text = b"\xef\xbb\xbfTitle,Handle,Price,Inventory quantity\r\nLamp,lamp,5.00\r\n,,,\r\n\r\nRug,rug,7,1,surplus\r\n".to_vec();
        text.extend_from_slice(b"Caf\xe9,cafe,3,1\r\nCup,cup,4,1\r\n\"Open,open,1,1\r\nEnd,end,2,2\r\n");
        let (parsed, errors) = import(&text);
        assert_eq!(parsed.iter().map(|it| it.handle.as_str()).collect::<Vec<_>>(), ["lamp", "cup", "end"]);
        let wrong: Vec<u64> = errors.iter().map(|error| error.line).collect();
        // The row of `rug` and that of `cafe` say nothing that can be used, so those products have no title either.
        assert_eq!(wrong, [5, 5, 6, 6, 8]);
        assert!(errors[0].reason.contains("5 cells"), "{errors:?}");
        assert_eq!(errors[2].column.as_deref(), Some("Title"));
        assert!(parsed.iter().all(|it| it.product.published), "a file that says nothing of it lists what is sold");
    }

    #[test]
    fn reading_again_gives_the_same() {
        let lines: Vec<String> = (0..50)
            .map(|n| line(&[("Handle", &format!("p{}", n % 17)), ("Title", "P"), ("Option1 Name", "N"), ("Option1 Value", &n.to_string()), ("Variant Price", "5")]))
            .collect();
        let order = |(parsed, _): (Vec<Parsed>, Vec<ImportError>)| parsed.into_iter().map(|it| it.handle).collect::<Vec<_>>();
        assert_eq!(order(file(&lines)), order(file(&lines)));
        let text = format!("{HEADER}{}", lines.concat());
        assert_eq!(Survey::of(text.as_bytes()).unwrap().rows, 50);
    }

    #[test]
    fn handles_become_slugs() {
        assert_eq!(handle_from("Ocean_Blue Shirt!"), "ocean-blue-shirt");
        assert_eq!(handle_from("青花瓷"), "qing-hua-ci");
        assert!(handle_from("***").starts_with("x-"));
        assert!(handle_from(&"long ".repeat(100)).len() <= 200);
        for text in ["a,b\n1,2\n", "", "\n\n"] {
            assert!(Survey::of(text.as_bytes()).is_err());
        }
    }
}
