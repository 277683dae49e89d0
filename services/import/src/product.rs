//! One product of a file, gathered from its rows.

use std::collections::{HashMap, HashSet};

use contracts::{
    catalog::{FileProduct, ImageInput, NamedValue, ProductInput, SkuInput},
    import::ImportError,
};
use kernel::{Currency, Money, normalise};

use crate::{
    cells::{Cells, Wrong, amount, image, leaf, published, whole},
    columns::{Columns, Field},
    handle::Handle,
};

const MOST_UNITS: i64 = 1_000_000_000;
const HEAVIEST: i64 = 10_000_000;

/// A product while its rows come in.
#[derive(Debug)]
pub(crate) struct Building {
    pub(crate) handle: String,
    /// What an older version made of the handle, where that was something else.
    former: Option<String>,
    /// Line of its first row.
    line: u64,
    title: String,
    body: String,
    vendor: String,
    category: String,
    tags: String,
    published: Option<bool>,
    option_names: [String; 3],
    attributes: Vec<NamedValue>,
    variants: Vec<Variant>,
    images: Vec<(i64, ImageInput)>,
    variant_images: Vec<String>,
    pub(crate) wrong: Vec<Wrong>,
    /// Whether a row beside its own could not be read, which may have been one of its own.
    pub(crate) doubtful: bool,
}

#[derive(Debug)]
struct Variant {
    line: u64,
    values: [String; 3],
    sku: SkuInput,
    offer: Offer,
}

/// Price and stock of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) line: u64,
    pub(crate) price: Money,
    pub(crate) compare_at: Option<Money>,
    pub(crate) quantity: i64,
}

/// A product of which enough could be read.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// Line of its first row.
    pub(crate) line: u64,
    pub(crate) handle: String,
    pub(crate) product: FileProduct,
    /// In the order of the product's SKUs.
    pub(crate) offers: Vec<Offer>,
}

impl Building {
    pub(crate) fn new(handle: Handle, line: u64) -> Self {
        Self {
            handle: handle.slug,
            former: handle.former,
            line,
            title: String::new(),
            body: String::new(),
            vendor: String::new(),
            category: String::new(),
            tags: String::new(),
            published: None,
            option_names: Default::default(),
            attributes: Vec::new(),
            variants: Vec::new(),
            images: Vec::new(),
            variant_images: Vec::new(),
            wrong: Vec::new(),
            doubtful: false,
        }
    }

    /// Takes a row in. A variant with anything wrong in its row is left out; so is an image.
    pub(crate) fn add(&mut self, row: &Cells<'_>, currency: Currency) {
        self.describe(row);
        if let Some(&at) = row
            .columns
            .surplus()
            .iter()
            .find(|&&at| row.cells.get(at).is_some_and(|it| !it.trim().is_empty()))
        {
            let reason = "a product has at most three options".to_owned();
            self.wrong.push(Wrong { line: row.line, column: row.columns.name_at(at), reason });
        } else if is_variant(row) {
            match variant(row, currency) {
                Ok(variant) => self.variants.push(variant),
                Err(wrong) => self.wrong.extend(wrong),
            }
        }
        match image(row, Field::ImageSrc) {
            Ok(Some(src)) => {
                let position = row.get(Field::ImagePosition).parse().unwrap_or(i64::MAX);
                let alt = normalise(row.get(Field::ImageAlt)).chars().take(500).collect();
                self.images.push((position, ImageInput { src, alt }));
            }
            Ok(None) => {}
            Err(wrong) => self.wrong.push(wrong),
        }
        match image(row, Field::VariantImage) {
            Ok(src) => self.variant_images.extend(src),
            Err(wrong) => self.wrong.push(wrong),
        }
    }

    /// What the row says of the product; what an earlier row said stays.
    fn describe(&mut self, row: &Cells<'_>) {
        let category = [Field::Type, Field::ProductCategory, Field::GoogleCategory]
            .into_iter()
            .map(|field| if field == Field::Type { row.get(field) } else { leaf(row.get(field)) })
            .find(|text| !text.is_empty())
            .unwrap_or("");
        for (text, cell) in [
            (&mut self.title, row.get(Field::Title)),
            (&mut self.body, row.get(Field::Body)),
            (&mut self.vendor, row.get(Field::Vendor)),
            (&mut self.category, category),
            (&mut self.tags, row.get(Field::Tags)),
        ] {
            if text.is_empty() {
                cell.clone_into(text);
            }
        }
        for (number, name) in (0..).zip(&mut self.option_names) {
            if name.is_empty() {
                row.get(Field::OptionName(number)).clone_into(name);
            }
        }
        for (at, name) in row.columns.attributes() {
            let value = row.cells.get(*at).map(|cell| normalise(cell)).unwrap_or_default();
            let fits = (1..=200).contains(&value.chars().count()) && self.attributes.len() < 100;
            if fits && !self.attributes.iter().any(|known| known.name == *name) {
                self.attributes.push(NamedValue { name: name.clone(), value });
            }
        }
        if self.published.is_none() && (!row.get(Field::Title).is_empty() || self.line == row.line) {
            match published(row) {
                Ok(published) => self.published = Some(published),
                Err(wrong) => self.wrong.push(wrong),
            }
        }
    }

    /// The product, where enough of it is right, and everything that is wrong.
    pub(crate) fn finish(mut self, columns: &Columns) -> (Option<Parsed>, Vec<ImportError>) {
        let variants = self.right_variants(columns);
        // Where its rows are wrong already, that is why there is no title.
        if self.title.is_empty() && self.wrong.is_empty() {
            let wrong =
                Wrong { line: self.line, column: columns.name(Field::Title), reason: "is blank".to_owned() };
            self.wrong.push(wrong);
        } else if !self.title.is_empty() && variants.is_empty() && self.wrong.is_empty() {
            let reason = "the product has no variant: no price in any of its rows".to_owned();
            self.wrong.push(Wrong { line: self.line, column: columns.name(Field::Price), reason });
        }
        self.wrong.sort_by_key(|wrong| wrong.line);
        let errors: Vec<ImportError> =
            std::mem::take(&mut self.wrong).into_iter().map(|wrong| wrong.about(&self.handle)).collect();
        let enough = !self.title.is_empty() && !variants.is_empty();
        let complete = errors.is_empty() && !self.doubtful;
        (enough.then(|| self.parsed(variants, complete)), errors)
    }

    /// Variants whose options fit the product's and that come once.
    fn right_variants(&mut self, columns: &Columns) -> Vec<Variant> {
        let named: Vec<bool> = self.option_names.iter().map(|name| !name.is_empty()).collect();
        let mut keys: HashMap<String, u64> = HashMap::new();
        let mut codes: HashMap<String, u64> = HashMap::new();
        let mut right = Vec::with_capacity(self.variants.len());
        for variant in std::mem::take(&mut self.variants) {
            let line = variant.line;
            let mut wrong = |field: Field, reason: String| {
                self.wrong.push(Wrong { line, column: columns.name(field), reason });
            };
            let odd = (0_u8..)
                .zip(&variant.values)
                .zip(&named)
                .find(|((_, value), named)| value.is_empty() == **named);
            // A product of one variant needs no option: `Default Title`, or nothing at all.
            let single = named.iter().all(|named| !named) && is_default(&variant.values);
            if let Some(((number, _), named)) = odd
                && !single
            {
                let reason = if *named { "is blank" } else { "has a value, but the option has no name" };
                wrong(Field::OptionValue(number), reason.to_owned());
                continue;
            }
            let key = variant.values.join("\u{1f}").to_lowercase();
            if let Some(first) = keys.get(&key) {
                wrong(
                    Field::OptionValue(0),
                    format!("the variant comes twice: the same option values as line {first}"),
                );
                continue;
            }
            if let Some(code) = &variant.sku.code {
                if let Some(first) = codes.get(code) {
                    wrong(Field::Sku, format!("the same SKU as line {first}"));
                    continue;
                }
                codes.insert(code.clone(), line);
            }
            keys.insert(key, line);
            right.push(variant);
        }
        right
    }

    fn parsed(mut self, mut variants: Vec<Variant>, complete: bool) -> Parsed {
        let only = variants.len() == 1 && variants.iter().all(|variant| is_default(&variant.values));
        let names: Vec<String> = if only {
            Vec::new()
        } else {
            self.option_names.iter().filter(|name| !name.is_empty()).cloned().collect()
        };
        for variant in &mut variants {
            let values = variant.values.iter().filter(|value| !value.is_empty());
            variant.sku.options = names
                .iter()
                .zip(values)
                .map(|(name, value)| NamedValue { name: name.clone(), value: value.clone() })
                .collect();
        }
        self.images.sort_by_key(|(position, _)| *position);
        let mut seen: HashSet<String> = HashSet::new();
        let mut images: Vec<ImageInput> = Vec::new();
        let others = self.variant_images.into_iter().map(|src| ImageInput { src, alt: String::new() });
        for image in self.images.into_iter().map(|(_, image)| image).chain(others) {
            if seen.insert(image.src.clone()) && images.len() < 250 {
                images.push(image);
            }
        }
        let offers = variants.iter().map(|variant| variant.offer).collect();
        let tags = self.tags.split(',').map(normalise).filter(|tag| !tag.is_empty()).collect();
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let product = ProductInput {
            title: self.title,
            slug: Some(self.handle.clone()),
            description: self.body,
            brand: some(self.vendor),
            category_id: None,
            attributes: self.attributes,
            tags,
            options: names,
            skus: variants.into_iter().map(|variant| variant.sku).collect(),
            images,
        };
        let product = FileProduct {
            product,
            published: self.published,
            category: some(self.category),
            complete,
            former_slug: self.former,
            beside: None,
        };
        Parsed { line: self.line, handle: self.handle, product, offers }
    }
}

fn is_default(values: &[String; 3]) -> bool {
    let [first, rest @ ..] = values;
    (first.is_empty() || first.eq_ignore_ascii_case("default title")) && rest.iter().all(String::is_empty)
}

/// A row with none of these only adds an image.
fn is_variant(row: &Cells<'_>) -> bool {
    let fields =
        [Field::OptionValue(0), Field::OptionValue(1), Field::OptionValue(2), Field::Sku, Field::Price];
    fields.into_iter().any(|field| !row.get(field).is_empty())
}

fn variant(row: &Cells<'_>, currency: Currency) -> Result<Variant, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let mut check = |outcome: Result<i64, Wrong>| outcome.map_err(|it| wrong.push(it)).unwrap_or_default();
    let price =
        check(amount(row, Field::Price, currency).and_then(|price| {
            price.ok_or_else(|| row.wrong(Field::Price, "is blank: a variant needs a price"))
        }));
    let compare_at = check(amount(row, Field::CompareAt, currency).map(Option::unwrap_or_default));
    let quantity = check(whole(row, Field::Quantity, MOST_UNITS).map(|quantity| quantity.max(0)));
    let weight_grams = check(whole(row, Field::Grams, HEAVIEST).and_then(|grams| {
        if grams < 0 { Err(row.wrong(Field::Grams, "must not be negative")) } else { Ok(grams) }
    }));
    let values = [0, 1, 2].map(|number| normalise(row.get(Field::OptionValue(number))));
    for (number, value) in (0..).zip(&values) {
        if value.chars().count() > 200 {
            wrong.push(row.wrong(Field::OptionValue(number), "is longer than 200 characters"));
        }
    }
    let mut short = |field: Field, most: usize| {
        let text = normalise(row.get(field).trim_start_matches('\''));
        if text.chars().count() > most {
            wrong.push(row.wrong(field, format!("is longer than {most} characters")));
        }
        Some(text).filter(|text| !text.is_empty())
    };
    let (code, barcode) = (short(Field::Sku, 100), short(Field::Barcode, 50));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let price = Money::new(price, currency);
    // A price before that is not above the price is no reduction; Shopify does not show it either.
    let compare_at = Some(Money::new(compare_at, currency)).filter(|before| before.amount > price.amount);
    Ok(Variant {
        line: row.line,
        values,
        sku: SkuInput { code, options: Vec::new(), barcode, weight_grams },
        offer: Offer { line: row.line, price, compare_at, quantity },
    })
}
