//! The words of a segment, for prefixes, typos and corrections.

use kernel::{Failure, Result};
use tantivy::{SegmentReader, schema::Field};

use crate::typos;

/// The words of a segment, sorted, with the number of documents that have each. A typo is looked for by running over the
/// signatures (8 bytes a word): 50,000 words take about 50 µs.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    text: String,
    starts: Vec<u32>,
    docs: Vec<u32>,
    signatures: Vec<u64>,
}

impl Vocabulary {
    /// Reads the terms of a field.
    pub(crate) fn read(reader: &SegmentReader, field: Field) -> Result<Self> {
        let index = reader.inverted_index(field).map_err(Failure::internal)?;
        let mut terms = index.terms().stream().map_err(Failure::internal)?;
        let mut vocabulary = Self { starts: vec![0], ..Self::default() };
        while terms.advance() {
            let Ok(word) = std::str::from_utf8(terms.key()) else { continue };
            vocabulary.text.push_str(word);
            vocabulary.starts.push(u32::try_from(vocabulary.text.len()).map_err(Failure::internal)?);
            vocabulary.docs.push(terms.value().doc_freq);
            vocabulary.signatures.push(signature(word));
        }
        Ok(vocabulary)
    }

    fn word(&self, at: usize) -> &str {
        &self.text[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// Words that begin so, with how many documents have each.
    pub(crate) fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, u32)> {
        let (mut low, mut high) = (0, self.docs.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.word(middle) < prefix { low = middle + 1 } else { high = middle }
        }
        (low..self.docs.len())
            .map(|at| (self.word(at), self.docs[at]))
            .take_while(move |(word, _)| word.starts_with(prefix))
    }

    /// Words at most so many typos away (a wrong first letter counts as two), with how many documents have each and how many typos they are away.
    pub(crate) fn near(&self, word: &str, typos: usize) -> Vec<(&str, u32, usize)> {
        let wanted = signature(word);
        let chars: Vec<char> = word.chars().collect();
        // A typo changes at most two bits of a signature.
        let limit = u32::try_from(2 * typos).unwrap_or(u32::MAX);
        let close = self.signatures.iter().enumerate().filter(|(_, of)| (*of ^ wanted).count_ones() <= limit);
        close
            .filter_map(|(at, _)| {
                let other = self.word(at);
                typos::between(&chars, other, typos).map(|typos| (other, self.docs[at], typos))
            })
            .collect()
    }
}

/// A bit for every character that occurs.
fn signature(word: &str) -> u64 {
    word.chars().fold(0, |bits, c| bits | 1 << (u32::from(c) % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_never_hides_a_near_word() {
        for (a, b, typos) in
            [("shirt", "skirt", 1), ("abcd", "abdc", 1), ("aaaa", "aaab", 1), ("headphones", "hexdphoned", 2)]
        {
            assert!((signature(a) ^ signature(b)).count_ones() <= 2 * typos, "{a} {b}");
        }
    }
}
