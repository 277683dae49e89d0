//! A state of a generation that searches read: it does not change under them.

use std::{collections::HashMap, sync::Arc};

use kernel::{Failure, Result};
use tantivy::{Searcher, index::SegmentId};

use super::{labels::Labels, schema::Fields, segment::Segment};

/// A searcher with its decoded segments, in the searcher's order.
pub(crate) struct Snapshot {
    pub(crate) searcher: Searcher,
    pub(crate) fields: Fields,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) labels: Arc<Labels>,
    /// Documents by label, over all documents.
    counts: Vec<u64>,
    by_id: HashMap<SegmentId, Arc<Segment>>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("documents", &self.searcher.num_docs()).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Decodes the segments that the state before did not have.
    pub(crate) fn load(searcher: Searcher, fields: Fields, before: Option<&Self>) -> Result<Self> {
        let mut labels = before.map(|before| before.labels.clone()).unwrap_or_default();
        let mut segments = Vec::with_capacity(searcher.segment_readers().len());
        let mut by_id = HashMap::new();
        for reader in searcher.segment_readers() {
            let known = before.and_then(|before| before.by_id.get(&reader.segment_id()).cloned());
            let segment = match known {
                Some(segment) => segment,
                None => Arc::new(Segment::decode(reader, &fields, &mut labels)?),
            };
            by_id.insert(reader.segment_id(), segment.clone());
            segments.push(segment);
        }
        let mut snapshot = Self { searcher, fields, segments, labels, counts: Vec::new(), by_id };
        snapshot.counts = snapshot.count_labels();
        Ok(snapshot)
    }

    /// How many documents carry a label.
    pub(crate) fn label_count(&self, number: usize) -> u64 {
        self.counts.get(number).copied().unwrap_or(0)
    }

    fn count_labels(&self) -> Vec<u64> {
        let mut counts = vec![0; self.labels.len()];
        self.each_document(|segment, doc| {
            for &label in segment.categories(doc).iter().chain([&segment.brands[doc]]) {
                if let Some(count) = counts.get_mut(label as usize) {
                    *count += 1;
                }
            }
        });
        counts
    }

    /// Every live document.
    pub(crate) fn each_document(&self, mut f: impl FnMut(&Segment, usize)) {
        for (reader, segment) in self.searcher.segment_readers().iter().zip(&self.segments) {
            for doc in reader.doc_ids_alive() {
                f(segment, doc as usize);
            }
        }
    }

    /// The stored texts of a document: its title and its card.
    pub(crate) fn stored(&self, address: tantivy::DocAddress) -> Result<(String, String)> {
        let document = self.searcher.doc(address).map_err(Failure::internal)?;
        Ok((Fields::stored(&document, self.fields.stored_title), Fields::stored(&document, self.fields.card)))
    }
}
