//! From what was typed to a query.
//!
//! All words must match, fillers aside. A word matches by its stem, its parts (`t-shirt`, long Chinese words), as the beginning
//! of a word when it is the last one, or with typos when hardly any document has it as it is: as many as
//! [`crate::typos`] says. Ways to match are tiers, a thousand points apart at least: no amount of relevance lifts a typo above the word itself.

use std::collections::HashMap;

use kernel::{Failure, Result};
use tantivy::{
    Term,
    query::{
        AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, Occur, Query, TermQuery,
        TermSetQuery,
    },
    schema::{Field, IndexRecordOption},
};

use super::snapshot::Snapshot;
use crate::{
    highlight::Marks,
    text::{self, Stems, Word, fold, is_filler},
    typos,
};

/// Words of a search that count; more are left out.
const MAX_WORDS: usize = 12;
/// Words that a beginning stands for.
const MAX_BEGINNINGS: usize = 50;
/// Words that a typo stands for.
const MAX_NEAR: usize = 20;
/// With fewer documents than this a word may be a typo.
const RARE: u64 = 5;

const EXACT: f32 = 8_000.0;
const BEGINNING: f32 = 5_000.0;
const ONE_TYPO: f32 = 3_000.0;
const TWO_TYPOS: f32 = 1_000.0;
/// The whole of what was typed is a SKU's code, a slug or a title.
const WHOLE: f32 = 50_000.0;

/// What to look for.
pub(crate) struct Understood {
    pub(crate) query: Box<dyn Query>,
    /// Whether anything was asked at all.
    pub(crate) has_words: bool,
    pub(crate) corrected: Option<String>,
    pub(crate) marks: Marks,
}

/// A typed word and what it may stand for.
struct Meaning {
    stem: String,
    /// Stems that together stand for it.
    parts: Vec<String>,
    beginnings: Vec<String>,
    one_typo: Vec<String>,
    two_typos: Vec<String>,
    /// What it probably should have been, where it occurs nowhere.
    correction: Option<String>,
}

/// Where words are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// In everything that is searched.
    Everything,
    /// In titles only: suggestions go on from what was typed.
    Titles,
}

/// Reads what was typed. `scored`: whether hits are ordered by how well they match.
pub(crate) fn understand(snapshot: &Snapshot, typed: &str, scope: Scope, scored: bool) -> Result<Understood> {
    let mut stems = Stems::new();
    let mut words = text::typed_words(typed);
    if words.iter().any(|word| !is_filler(&word.text)) {
        words.retain(|word| !is_filler(&word.text));
    }
    words.truncate(MAX_WORDS);
    if words.is_empty() {
        // Signs only (`!!!`): they match nothing. Nothing at all matches everything.
        let has_words = !typed.trim().is_empty();
        let query: Box<dyn Query> =
            if has_words { Box::new(tantivy::query::EmptyQuery) } else { Box::new(AllQuery) };
        return Ok(Understood { query, has_words, corrected: None, marks: Marks::default() });
    }
    // A word that is still being typed may go on.
    let goes_on = typed.chars().next_back().is_some_and(|c| !c.is_whitespace());
    let last = words.len() - 1;
    let mut meanings = Vec::with_capacity(words.len());
    for (at, word) in words.iter().enumerate() {
        meanings.push(mean(snapshot, &mut stems, word, goes_on && at == last)?);
    }
    let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    for meaning in &meanings {
        clauses.push((Occur::Must, meaning.matching(snapshot, &mut stems, scope)));
        if scored {
            clauses.extend(
                meaning.weighing(snapshot, &mut stems).into_iter().map(|query| (Occur::Should, query)),
            );
        }
    }
    let whole = Term::from_field_text(snapshot.fields.whole, &fold(typed.trim()));
    let whole = TermQuery::new(whole, IndexRecordOption::Basic);
    let query = BooleanQuery::new(vec![
        (Occur::Should, Box::new(BooleanQuery::new(clauses)) as Box<dyn Query>),
        (Occur::Should, Box::new(ConstScoreQuery::new(Box::new(whole), WHOLE))),
    ]);
    Ok(Understood {
        query: Box::new(query),
        has_words: true,
        corrected: corrected(typed, &words, &meanings),
        marks: marks(&meanings),
    })
}

fn mean(snapshot: &Snapshot, stems: &mut Stems, word: &Word, may_go_on: bool) -> Result<Meaning> {
    let mut meaning = Meaning {
        stem: stems.of(&word.text),
        parts: word.parts.iter().map(|part| stems.of(part)).collect(),
        beginnings: Vec::new(),
        one_typo: Vec::new(),
        two_typos: Vec::new(),
        correction: None,
    };
    if word.cjk {
        return Ok(meaning);
    }
    let mut known = frequency(snapshot, &meaning.stem)?;
    if !meaning.parts.is_empty() {
        let parts = meaning.parts.iter().map(|part| frequency(snapshot, part)).collect::<Result<Vec<_>>>()?;
        known = known.max(parts.into_iter().min().unwrap_or(0));
    }
    let letters = word.text.chars().count();
    let mut begun = 0;
    if may_go_on && letters >= 2 {
        let found = beginnings(snapshot, &word.text);
        begun = found.iter().map(|(_, docs)| u64::from(*docs)).sum();
        meaning.beginnings = found.into_iter().map(|(word, _)| word).collect();
    }
    let forgiven = typos::forgiven(&word.text);
    if forgiven > 0 && known.max(begun) < RARE {
        let near = near(snapshot, &word.text, forgiven);
        if known == 0 && begun == 0 {
            meaning.correction = near.first().map(|(word, _, _)| word.clone());
        }
        for (word, _, typos) in near {
            if typos <= 1 { meaning.one_typo.push(word) } else { meaning.two_typos.push(word) }
        }
    }
    Ok(meaning)
}

fn frequency(snapshot: &Snapshot, stem: &str) -> Result<u64> {
    let term = Term::from_field_text(snapshot.fields.text, stem);
    snapshot.searcher.doc_freq(&term).map_err(Failure::internal)
}

/// Words that begin so, those of most documents.
pub(crate) fn beginnings(snapshot: &Snapshot, prefix: &str) -> Vec<(String, u32)> {
    let mut docs: HashMap<&str, u32> = HashMap::new();
    for segment in &snapshot.segments {
        for (word, count) in segment.vocabulary.beginning(prefix) {
            if word != prefix {
                *docs.entry(word).or_default() += count;
            }
        }
    }
    let mut found: Vec<_> = docs.into_iter().collect();
    found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    found.truncate(MAX_BEGINNINGS);
    found.into_iter().map(|(word, count)| (word.to_owned(), count)).collect()
}

/// Words a few typos away: nearest first, then those of most documents.
fn near(snapshot: &Snapshot, word: &str, typos: usize) -> Vec<(String, u32, usize)> {
    let mut docs: HashMap<&str, (u32, usize)> = HashMap::new();
    for segment in &snapshot.segments {
        for (other, count, typos) in segment.vocabulary.near(word, typos) {
            if other != word {
                docs.entry(other).or_insert((0, typos)).0 += count;
            }
        }
    }
    let mut found: Vec<_> =
        docs.into_iter().map(|(word, (count, typos))| (word.to_owned(), count, typos)).collect();
    found.sort_unstable_by(|a, b| a.2.cmp(&b.2).then_with(|| b.1.cmp(&a.1)).then_with(|| a.0.cmp(&b.0)));
    found.truncate(MAX_NEAR);
    found
}

impl Meaning {
    /// Decides whether a document matches, and in which tier.
    fn matching(&self, snapshot: &Snapshot, stems: &mut Stems, scope: Scope) -> Box<dyn Query> {
        let fields = snapshot.fields;
        let field = if scope == Scope::Titles { fields.title } else { fields.text };
        let mut ways: Vec<Box<dyn Query>> = vec![tier(term(field, &self.stem), EXACT)];
        if !self.parts.is_empty() {
            let parts = self.parts.iter().map(|part| term(field, part)).collect();
            ways.push(tier(Box::new(BooleanQuery::intersection(parts)), EXACT));
        }
        for (words, points) in
            [(&self.beginnings, BEGINNING), (&self.one_typo, ONE_TYPO), (&self.two_typos, TWO_TYPOS)]
        {
            if !words.is_empty() {
                // Words as written are kept for everything together; a title has stems only.
                let terms: Vec<Term> = match scope {
                    Scope::Everything => {
                        words.iter().map(|word| Term::from_field_text(fields.word, word)).collect()
                    }
                    Scope::Titles => {
                        words.iter().map(|word| Term::from_field_text(field, &stems.of(word))).collect()
                    }
                };
                ways.push(tier(Box::new(TermSetQuery::new(terms)), points));
            }
        }
        match ways.len() {
            1 => ways.swap_remove(0),
            _ => Box::new(DisjunctionMaxQuery::new(ways)),
        }
    }

    /// Tells apart those of one tier.
    fn weighing(&self, snapshot: &Snapshot, stems: &mut Stems) -> Vec<Box<dyn Query>> {
        let fields = snapshot.fields;
        let mut weights: Vec<Box<dyn Query>> = Vec::new();
        let mut weigh = |stem: &str| {
            for (field, weight) in [(fields.title, 3.0), (fields.brand, 2.0), (fields.text, 1.0)] {
                weights.push(Box::new(BoostQuery::new(scored_term(field, stem), weight)));
            }
        };
        weigh(&self.stem);
        self.parts.iter().for_each(|part| weigh(part));
        // What a beginning or a typo probably stands for weighs as if it had been typed.
        for word in self.beginnings.iter().take(3).chain(self.one_typo.iter().chain(&self.two_typos).take(3))
        {
            let stem = stems.of(word);
            if stem != self.stem {
                weigh(&stem);
            }
        }
        weights
    }
}

fn term(field: Field, text: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
}

fn scored_term(field: Field, text: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::WithFreqs))
}

fn tier(query: Box<dyn Query>, points: f32) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(query, points))
}

/// What was typed, with the words that occur nowhere replaced; `None` when there is no such word.
fn corrected(typed: &str, words: &[Word], meanings: &[Meaning]) -> Option<String> {
    let mut text = String::with_capacity(typed.len());
    let mut at = 0;
    for (word, meaning) in words.iter().zip(meanings) {
        if let Some(correction) = &meaning.correction {
            text.push_str(&typed[at..word.from]);
            text.push_str(correction);
            at = word.to;
        }
    }
    text.push_str(&typed[at..]);
    (at > 0).then(|| kernel::normalise(&text))
}

fn marks(meanings: &[Meaning]) -> Marks {
    let mut marks = Marks::default();
    for meaning in meanings {
        marks.stems.insert(meaning.stem.clone());
        marks.stems.extend(meaning.parts.iter().cloned());
        for words in [&meaning.beginnings, &meaning.one_typo, &meaning.two_typos] {
            marks.words.extend(words.iter().cloned());
        }
    }
    marks
}
