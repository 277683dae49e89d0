//! Words of mixed text.
//!
//! Latin (and any other alphabetic) words are folded: lower case, without accents, full-width forms made plain. `Women's` is
//! `womens`; `T-shirt` is `t`, `shirt` and, in the index, `tshirt` too. Chinese is cut by jieba; the index also holds every
//! single character and every pair of a run, so that a word is found where the dictionary cuts differently. Japanese and
//! Korean runs have characters and pairs only.

use tantivy::tokenizer::{RawTokenizer, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy_jieba::JiebaTokenizer;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Longer words are no words.
const MAX_CHARS: usize = 40;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Folded.
    pub(crate) text: String,
    /// Where it stands, in bytes.
    pub(crate) from: usize,
    /// Where it ends.
    pub(crate) to: usize,
    /// What it consists of, where the whole may stand apart: parts of a compound, pairs of a long Chinese word.
    pub(crate) parts: Vec<String>,
    /// Written without blanks between words.
    pub(crate) cjk: bool,
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}' | '々')
}

fn is_cjk(c: char) -> bool {
    is_han(c) || matches!(c, '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ac00}'..='\u{d7af}')
}

/// Lower case, no accents, no full-width forms.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd().filter(|&c| !is_combining_mark(c)).flat_map(char::to_lowercase) {
        match c {
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            'đ' | 'ð' => out.push('d'),
            'þ' => out.push_str("th"),
            'ı' => out.push('i'),
            c => out.push(c),
        }
    }
    out
}

/// A stretch of one writing.
enum Run {
    /// Pieces of an alphabetic compound, folded, with their places.
    Latin(Vec<Word>),
    Cjk(usize, usize),
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some(&(start, c)) = chars.peek() {
        if is_cjk(c) {
            let end = advance(&mut chars, text.len(), is_cjk);
            runs.push(Run::Cjk(start, end));
        } else if c.is_alphanumeric() {
            let mut pieces = Vec::new();
            let mut from = start;
            loop {
                let to = advance(&mut chars, text.len(), |c| {
                    !is_cjk(c) && (c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '\'' | '’'))
                });
                pieces.extend(piece(text, from, to));
                // A hyphen with a letter behind it goes on with the compound.
                let mut ahead = chars.clone();
                match (ahead.next(), ahead.next()) {
                    (Some((_, '-' | '‐' | '‑')), Some((next, c))) if c.is_alphanumeric() && !is_cjk(c) => {
                        chars.next();
                        from = next;
                    }
                    _ => break,
                }
            }
            runs.push(Run::Latin(pieces));
        } else {
            chars.next();
        }
    }
    runs
}

fn piece(text: &str, from: usize, to: usize) -> Option<Word> {
    let raw = text[from..to].trim_end_matches(['\'', '’']);
    let to = from + raw.len();
    let text: String = fold(raw).chars().filter(|c| !matches!(c, '\'' | '’')).collect();
    let fits = !text.is_empty() && text.chars().count() <= MAX_CHARS;
    fits.then_some(Word { text, from, to, parts: Vec::new(), cjk: false })
}

/// Moves past the characters that belong and returns where they end.
fn advance(
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    len: usize,
    belongs: impl Fn(char) -> bool,
) -> usize {
    while chars.next_if(|&(_, c)| belongs(c)).is_some() {}
    chars.peek().map_or(len, |&(at, _)| at)
}

/// The words of a text as the index keeps them: overlapping where a text can be cut in more than one way.
pub(crate) fn indexed_words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for run in runs(text) {
        match run {
            Run::Latin(pieces) => {
                let compound = compound(&pieces);
                words.extend(pieces);
                words.extend(compound.map(|word| Word { parts: Vec::new(), ..word }));
            }
            Run::Cjk(from, to) => cjk_indexed(text, from, to, &mut words),
        }
    }
    words
}

/// The words a person typed: each once, with its parts.
pub(crate) fn typed_words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for run in runs(text) {
        match run {
            Run::Latin(mut pieces) => match compound(&pieces) {
                Some(word) => words.push(word),
                None => words.append(&mut pieces),
            },
            Run::Cjk(from, to) => {
                let run = &text[from..to];
                let cuts = if run.chars().all(is_han) { jieba(run, false) } else { vec![(0, run.len())] };
                words.extend(cuts.into_iter().map(|(a, b)| Word {
                    text: run[a..b].to_owned(),
                    from: from + a,
                    to: from + b,
                    parts: if run[a..b].chars().count() > 2 { pairs(&run[a..b]) } else { Vec::new() },
                    cjk: true,
                }));
            }
        }
    }
    words
}

fn compound(pieces: &[Word]) -> Option<Word> {
    let (first, last) = (pieces.first()?, pieces.last()?);
    let text: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
    (pieces.len() > 1 && text.chars().count() <= MAX_CHARS).then(|| Word {
        text,
        from: first.from,
        to: last.to,
        parts: pieces.iter().map(|piece| piece.text.clone()).collect(),
        cjk: false,
    })
}

fn pairs(run: &str) -> Vec<String> {
    let chars: Vec<char> = run.chars().collect();
    chars.windows(2).map(|pair| pair.iter().collect()).collect()
}

fn cjk_indexed(text: &str, from: usize, to: usize, words: &mut Vec<Word>) {
    let run = &text[from..to];
    let mut push = |a: usize, b: usize| {
        words.push(Word {
            text: run[a..b].to_owned(),
            from: from + a,
            to: from + b,
            parts: Vec::new(),
            cjk: true,
        });
    };
    let ends: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    for at in 0..ends.len() - 1 {
        push(ends[at], ends[at + 1]);
        if at + 2 < ends.len() {
            push(ends[at], ends[at + 2]);
        }
    }
    if run.chars().all(is_han) && ends.len() > 3 {
        for (a, b) in jieba(run, true) {
            if run[a..b].chars().count() > 2 {
                push(a, b);
            }
        }
    }
}

/// Where jieba cuts; `overlapping` adds the shorter words inside longer ones. The dictionary is loaded on first use.
fn jieba(run: &str, overlapping: bool) -> Vec<(usize, usize)> {
    let mut tokenizer = JiebaTokenizer::with_search_mode(overlapping);
    let mut stream = tokenizer.token_stream(run);
    let mut cuts = Vec::new();
    while stream.advance() {
        let token = stream.token();
        cuts.push((token.offset_from, token.offset_to));
    }
    cuts
}

/// Loads the Chinese dictionary.
pub(crate) fn load_dictionary() {
    jieba("词典", false);
}

/// English stems.
pub(crate) struct Stems(TextAnalyzer);

impl Stems {
    pub(crate) fn new() -> Self {
        Self(TextAnalyzer::builder(RawTokenizer::default()).filter(Stemmer::default()).build())
    }

    /// The stem of a folded word.
    pub(crate) fn of(&mut self, word: &str) -> String {
        let mut stream = self.0.token_stream(word);
        if stream.advance() { std::mem::take(&mut stream.token_mut().text) } else { word.to_owned() }
    }
}

/// The tokenizer tantivy sees: [`indexed_words`].
#[derive(Clone, Default)]
pub(crate) struct Mixed;

impl Tokenizer for Mixed {
    type TokenStream<'a> = Words;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Words {
        Words { words: indexed_words(text).into_iter(), token: Token::default(), position: 0 }
    }
}

/// Words as a stream of tokens.
pub(crate) struct Words {
    words: std::vec::IntoIter<Word>,
    token: Token,
    position: usize,
}

impl TokenStream for Words {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.token = Token {
            offset_from: word.from,
            offset_to: word.to,
            position: self.position,
            text: word.text,
            position_length: 1,
        };
        self.position += 1;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

/// Words that say nothing about a product; left out of a search that has others.
pub(crate) const FILLERS: [&str; 30] = [
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "in", "is", "it", "its", "me", "my",
    "of", "on", "or", "that", "the", "their", "this", "to", "was", "with", "your", "的", "和", "了",
];

/// Whether a word says nothing.
pub(crate) fn is_filler(word: &str) -> bool {
    FILLERS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: Vec<Word>) -> Vec<String> {
        words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn folds_accents_case_and_width() {
        assert_eq!(fold("Crème BRÛLÉE Straße Ｗｉｄｅ"), "creme brulee strasse wide");
    }

    #[test]
    fn cuts_mixed_text() {
        assert_eq!(
            texts(indexed_words("Women's T-Shirt, 100ml")),
            ["womens", "t", "shirt", "tshirt", "100ml"]
        );
        let phone = texts(indexed_words("iPhone手机壳"));
        for word in ["iphone", "手", "手机", "机壳"] {
            assert!(phone.iter().any(|found| found == word), "{word} in {phone:?}");
        }
        assert_eq!(texts(typed_words("t-shirt women's")), ["tshirt", "womens"]);
        assert_eq!(typed_words("t-shirt")[0].parts, ["t", "shirt"]);
    }

    #[test]
    fn places_are_those_of_the_original() {
        let text = "Crème—Brûlée 手机";
        for word in indexed_words(text) {
            assert_eq!(fold(&text[word.from..word.to]), word.text);
        }
    }

    #[test]
    fn odd_input_does_no_harm() {
        for text in [
            "",
            "-",
            "'",
            "a-",
            "-a",
            "''''",
            "a-手",
            "手-a",
            "\u{301}",
            "x\u{301}y",
            "가나다",
            "さくら",
            "🎉🎉",
        ] {
            indexed_words(text);
            typed_words(text);
        }
    }

    #[test]
    fn stems() {
        let mut stems = Stems::new();
        assert_eq!(stems.of("running"), stems.of("runs"));
        assert_eq!(stems.of("手机"), "手机");
    }
}
