//! Fields of a document in tantivy.

use std::path::Path;

use kernel::{Failure, Result};
use tantivy::{
    Index, IndexSettings, TantivyDocument, Term,
    schema::{
        FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
        Value,
    },
    tokenizer::{Stemmer, TextAnalyzer},
};
use uuid::Uuid;

use super::{labels, prices};
use crate::{
    Document,
    text::{Mixed, fold},
};

/// Changes whenever the fields do: a generation of another format is not opened but built again.
pub(crate) const FORMAT: u32 = 2;

const STEMMED: &str = "mixed_stemmed";
const PLAIN: &str = "mixed";

/// The fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// The id as a term: what updates and deletes go by.
    pub(crate) id: Field,
    /// Everything that is searched, stemmed: decides whether a document matches.
    pub(crate) text: Field,
    /// The title, stemmed: weighs most.
    pub(crate) title: Field,
    /// The brand, stemmed.
    pub(crate) brand: Field,
    /// Words as written, without the description: the vocabulary for prefixes, typos and corrections.
    pub(crate) word: Field,
    /// What is searched as a whole: SKU codes, slug, title.
    pub(crate) whole: Field,
    /// The title as it is, for highlights.
    pub(crate) stored_title: Field,
    /// The card.
    pub(crate) card: Field,
    id_high: Field,
    id_low: Field,
    version: Field,
    prices: Field,
    in_stock: Field,
    published_at: Field,
    sold: Field,
    brand_label: Field,
    category_label: Field,
}

/// Names of the fast fields.
pub(crate) mod fast {
    pub(crate) const ID_HIGH: &str = "id_high";
    pub(crate) const ID_LOW: &str = "id_low";
    pub(crate) const VERSION: &str = "version";
    pub(crate) const PRICES: &str = "prices";
    pub(crate) const IN_STOCK: &str = "in_stock";
    pub(crate) const PUBLISHED_AT: &str = "published_at";
    pub(crate) const SOLD: &str = "sold";
    pub(crate) const BRAND: &str = "brand_label";
    pub(crate) const CATEGORY: &str = "category_label";
}

fn schema() -> (Schema, Fields) {
    let indexed = |tokenizer: &str, record: IndexRecordOption, norms: bool| {
        TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(tokenizer)
                .set_index_option(record)
                .set_fieldnorms(norms),
        )
    };
    let label = TextOptions::default().set_fast("raw");
    let mut builder = Schema::builder();
    let fields = Fields {
        id: builder.add_text_field("id", STRING),
        text: builder.add_text_field("text", indexed(STEMMED, IndexRecordOption::WithFreqs, true)),
        title: builder.add_text_field("title", indexed(STEMMED, IndexRecordOption::WithFreqs, true)),
        brand: builder.add_text_field("brand", indexed(STEMMED, IndexRecordOption::WithFreqs, true)),
        word: builder.add_text_field("word", indexed(PLAIN, IndexRecordOption::Basic, false)),
        whole: builder.add_text_field("whole", indexed("raw", IndexRecordOption::Basic, false)),
        stored_title: builder.add_text_field("stored_title", STORED),
        card: builder.add_text_field("card", STORED),
        id_high: builder.add_u64_field(fast::ID_HIGH, FAST),
        id_low: builder.add_u64_field(fast::ID_LOW, FAST),
        version: builder.add_i64_field(fast::VERSION, FAST),
        prices: builder.add_u64_field(fast::PRICES, FAST),
        in_stock: builder.add_bool_field(fast::IN_STOCK, FAST | INDEXED),
        published_at: builder.add_i64_field(fast::PUBLISHED_AT, FAST),
        sold: builder.add_i64_field(fast::SOLD, FAST),
        brand_label: builder.add_text_field(fast::BRAND, label.clone()),
        category_label: builder.add_text_field(fast::CATEGORY, label),
    };
    (builder.build(), fields)
}

/// Makes an empty index in `folder`.
pub(crate) fn create(folder: &Path) -> Result<()> {
    let (schema, _) = schema();
    // Small blocks: a hit reads one of them.
    let settings = IndexSettings {
        docstore_compress_dedicated_thread: false,
        docstore_blocksize: 4_096,
        ..IndexSettings::default()
    };
    Index::builder().schema(schema).settings(settings).create_in_dir(folder).map_err(Failure::internal)?;
    Ok(())
}

/// Opens the index in `folder`.
pub(crate) fn open(folder: &Path) -> Result<(Index, Fields)> {
    let (schema, fields) = schema();
    let index = Index::open_in_dir(folder).map_err(Failure::internal)?;
    if index.schema() != schema {
        return Err(Failure::internal("the index has other fields than this version writes"));
    }
    index.tokenizers().register(PLAIN, TextAnalyzer::from(Mixed));
    index.tokenizers().register(STEMMED, TextAnalyzer::builder(Mixed).filter(Stemmer::default()).build());
    Ok((index, fields))
}

impl Fields {
    /// The term of a document's id.
    pub(crate) fn id_term(&self, id: Uuid) -> Term {
        Term::from_field_text(self.id, id.simple().encode_lower(&mut Uuid::encode_buffer()))
    }

    /// A document as tantivy takes it.
    pub(crate) fn document(&self, from: &Document) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        let (high, low) = from.id.as_u64_pair();
        document.add_text(self.id, from.id.simple().encode_lower(&mut Uuid::encode_buffer()));
        document.add_u64(self.id_high, high);
        document.add_u64(self.id_low, low);
        document.add_i64(self.version, from.version);
        document.add_text(self.title, &from.title);
        document.add_text(self.stored_title, &from.title);
        let names = from.brand.iter().chain(&from.categories).map(|named| &named.name);
        for text in names.chain([&from.title]).chain(&from.tags).chain(&from.attributes) {
            document.add_text(self.text, text);
            document.add_text(self.word, text);
        }
        document.add_text(self.text, &from.description);
        if let Some(brand) = &from.brand {
            document.add_text(self.brand, &brand.name);
            document.add_text(self.brand_label, labels::encode(brand));
        }
        for category in &from.categories {
            document.add_text(self.category_label, labels::encode(category));
        }
        for whole in from.sku_codes.iter().chain([&from.slug, &from.title]) {
            document.add_text(self.whole, fold(whole.trim()));
        }
        for price in &from.prices {
            document.add_u64(self.prices, prices::pack(*price));
        }
        document.add_bool(self.in_stock, from.in_stock);
        document.add_i64(self.published_at, from.published_at);
        document.add_i64(self.sold, from.sold);
        document.add_text(self.card, &from.card);
        document
    }

    /// A stored text of a document.
    pub(crate) fn stored(document: &TantivyDocument, field: Field) -> String {
        document.get_first(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }
}
