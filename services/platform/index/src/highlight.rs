//! Titles with the matching words marked.

use std::collections::HashSet;

use crate::text::{Stems, indexed_words};

/// What a highlight marks.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Stems of words.
    pub(crate) stems: HashSet<String>,
    /// Folded words.
    pub(crate) words: HashSet<String>,
}

/// Marks the words of a search in titles.
pub(crate) struct Highlighter<'a> {
    marks: &'a Marks,
    stems: Stems,
}

impl<'a> Highlighter<'a> {
    pub(crate) fn new(marks: &'a Marks) -> Self {
        Self { marks, stems: Stems::new() }
    }

    /// Escaped HTML with matching words in `<mark>`.
    pub(crate) fn title(&mut self, title: &str) -> String {
        let mut out = String::with_capacity(title.len() + 32);
        let mut at = 0;
        for (from, to) in self.places(title) {
            escape(&title[at..from], &mut out);
            out.push_str("<mark>");
            escape(&title[from..to], &mut out);
            out.push_str("</mark>");
            at = to;
        }
        escape(&title[at..], &mut out);
        out
    }

    /// Where marks begin and end: in order, apart from each other.
    fn places(&mut self, title: &str) -> Vec<(usize, usize)> {
        if self.marks.stems.is_empty() {
            return Vec::new();
        }
        let mut places: Vec<(usize, usize)> = Vec::new();
        for word in indexed_words(title) {
            if self.marks.words.contains(&word.text) || self.marks.stems.contains(&self.stems.of(&word.text))
            {
                places.push((word.from, word.to));
            }
        }
        places.sort_unstable();
        let mut joined: Vec<(usize, usize)> = Vec::with_capacity(places.len());
        for (from, to) in places {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        joined
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_escapes() {
        let marks = Marks { stems: ["mug".to_owned()].into(), words: ["mugg".to_owned()].into() };
        let mut highlighter = Highlighter::new(&marks);
        assert_eq!(
            highlighter.title("<b>Mugs</b> & 'mugg'"),
            "&lt;b&gt;<mark>Mugs</mark>&lt;/b&gt; &amp; &#39;<mark>mugg</mark>&#39;"
        );
    }
}
