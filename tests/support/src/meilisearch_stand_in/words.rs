//! Words of texts, and how a typed word matches one.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::settings::TypoTolerance;

/// A word of a text.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// Lower case, without accents.
    pub(crate) text: String,
    /// Where it stands, in bytes.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// How many words come before it in its attribute.
    pub(crate) position: usize,
    /// A single Chinese, Japanese or Korean character.
    pub(crate) cjk: bool,
}

fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

fn fold(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

/// The words of a text.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut begun: Option<usize> = None;
    let mut position = 0;
    let mut push = |from: usize, to: usize, cjk: bool| {
        tokens.push(Token { text: fold(&text[from..to]), from, to, position, cjk });
        position += 1;
    };
    for (at, c) in text.char_indices() {
        if is_cjk(c) {
            if let Some(from) = begun.take() {
                push(from, at, false);
            }
            push(at, at + c.len_utf8(), true);
        } else if c.is_alphanumeric() || is_combining_mark(c) {
            begun.get_or_insert(at);
        } else if let Some(from) = begun.take() {
            push(from, at, false);
        }
    }
    if let Some(from) = begun {
        push(from, text.len(), false);
    }
    tokens
}

/// A typed word.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) text: String,
    /// Whether it may go on.
    pub(crate) prefix: bool,
    pub(crate) cjk: bool,
    /// Whether it was typed right after the one before, as a character of the same run.
    pub(crate) follows: bool,
    typos: usize,
}

/// How a typed word matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Matched {
    pub(crate) typos: usize,
    /// Whether only the beginning of the word was typed.
    pub(crate) begun: bool,
}

/// The words that were typed; stop words are left out, but for a last one that may go on.
pub(crate) fn asked(typed: &str, stop_words: &[String], rule: &TypoTolerance) -> Vec<Asked> {
    let tokens = tokens(typed);
    let last = tokens.len().saturating_sub(1);
    let goes_on = typed.chars().next_back().is_some_and(char::is_alphanumeric);
    let mut words = Vec::new();
    let mut run_ends = None;
    for (at, token) in tokens.into_iter().enumerate() {
        let prefix = at == last && goes_on;
        let follows = token.cjk && run_ends == Some(token.from);
        run_ends = token.cjk.then_some(token.to);
        if !prefix && stop_words.contains(&token.text) {
            continue;
        }
        let typos = forgiven(&token.text, rule);
        words.push(Asked { text: token.text, prefix, cjk: token.cjk, follows, typos });
    }
    words
}

fn forgiven(word: &str, rule: &TypoTolerance) -> usize {
    let letters = word.chars().count();
    let number = rule.disable_on_numbers && word.chars().all(|c| c.is_ascii_digit());
    if !rule.enabled || number || rule.disable_on_words.iter().any(|known| known == word) {
        return 0;
    }
    usize::from(letters >= rule.min_word_size_for_typos.one_typo)
        + usize::from(letters >= rule.min_word_size_for_typos.two_typos)
}

impl Asked {
    /// A word made of this and the next, as they are written together.
    pub(crate) fn with(&self, next: &Self, rule: &TypoTolerance) -> Self {
        let text = format!("{}{}", self.text, next.text);
        Self { typos: forgiven(&text, rule), text, prefix: next.prefix, cjk: false, follows: false }
    }

    /// Whether a word of a document is meant.
    pub(crate) fn matches(&self, word: &str, typos_allowed: bool) -> Option<Matched> {
        if word == self.text {
            return Some(Matched { typos: 0, begun: false });
        }
        if self.cjk {
            return None;
        }
        if self.prefix && word.starts_with(&self.text) {
            return Some(Matched { typos: 0, begun: true });
        }
        let limit = if typos_allowed { self.typos } else { 0 };
        if limit == 0 {
            return None;
        }
        if let Some(typos) = typos(&self.text, word, limit) {
            return Some(Matched { typos, begun: false });
        }
        if !self.prefix {
            return None;
        }
        let letters = self.text.chars().count();
        let beginnings = (letters.saturating_sub(limit).max(1)..=letters + limit)
            .filter_map(|length| word.char_indices().nth(length).map(|(end, _)| &word[..end]));
        beginnings
            .filter_map(|beginning| typos(&self.text, beginning, limit))
            .min()
            .map(|typos| Matched { typos, begun: true })
    }
}

/// Letters put in, left out, replaced or swapped; a wrong first one counts as two. `None` above the limit.
fn typos(typed: &str, word: &str, limit: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (typed.chars().collect(), word.chars().collect());
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let mut table = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for (row, line) in table.iter_mut().enumerate() {
        line[0] = row;
    }
    table[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let mut best = (table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]))
                .min(table[i - 1][j] + 1)
                .min(table[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(table[i - 2][j - 2] + 1);
            }
            table[i][j] = best;
        }
    }
    let found = table[a.len()][b.len()];
    let first = usize::from(found > 0 && a.first() != b.first());
    Some(found + first).filter(|typos| *typos <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(typed: &str, word: &str) -> bool {
        asked(typed, &[], &TypoTolerance::default())[0].matches(word, true).is_some()
    }

    #[test]
    fn typos_follow_the_documented_rule() {
        assert!(!hit("lamp ", "camp") && !hit("mgu ", "mug"));
        assert!(hit("shrit ", "shirt") && hit("shirt ", "skirt"));
        assert!(!hit("lamps ", "camps"), "a wrong first letter counts as two");
        assert!(hit("hedphnoes ", "headphones"));
        assert!(hit("lamp", "lampshade") && !hit("lamp ", "lampshade"));
    }
}
