//! What counts as a typo: Meilisearch's rule, on every engine. None in words of up to four letters, one from five on, two from
//! nine on; a wrong first letter counts as two.
//!
//! Source: Meilisearch's documentation, "Typo tolerance settings" and "Typo tolerance calculations".

/// Letters from which on one typo is forgiven.
pub(crate) const ONE_FROM: u8 = 5;
/// Letters from which on two are.
pub(crate) const TWO_FROM: u8 = 9;

/// How many typos are forgiven in a typed word; none in numbers.
pub(crate) fn forgiven(word: &str) -> usize {
    let letters = word.chars().count();
    if letters < usize::from(ONE_FROM) || word.chars().all(|c| c.is_ascii_digit()) {
        0
    } else if letters < usize::from(TWO_FROM) {
        1
    } else {
        2
    }
}

/// Typos between a typed word and another one; `None` above `limit`.
pub(crate) fn between(typed: &[char], other: &str, limit: usize) -> Option<usize> {
    let typos = distance(typed, other, limit)?;
    let first = usize::from(typos > 0 && other.chars().next() != typed.first().copied());
    Some(typos + first).filter(|&typos| typos <= limit)
}

/// Typos between two words: letters put in, left out, replaced, or two neighbours swapped (optimal string alignment); `None`
/// above `limit`.
fn distance(left: &[char], right: &str, limit: usize) -> Option<usize> {
    let right: Vec<char> = right.chars().collect();
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, &a) in left.iter().enumerate() {
        let mut line = Vec::with_capacity(above.len());
        line.push(row + 1);
        for (column, &b) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(a != b);
            let mut best = replaced.min(above[column + 1] + 1).min(line[column] + 1);
            if row > 0 && column > 0 && a == right[column - 1] && left[row - 1] == b {
                best = best.min(before[column - 1] + 1);
            }
            line.push(best);
        }
        if line.iter().all(|&typos| typos > limit) {
            return None;
        }
        before = std::mem::replace(&mut above, line);
    }
    above.last().copied().filter(|&typos| typos <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_typos() {
        let of = |a: &str, b: &str, limit| distance(&a.chars().collect::<Vec<_>>(), b, limit);
        assert_eq!(of("shirt", "shirt", 1), Some(0));
        assert_eq!(of("shrit", "shirt", 1), Some(1));
        assert_eq!(of("shrt", "shirt", 1), Some(1));
        assert_eq!(of("shirtt", "shirt", 1), Some(1));
        assert_eq!(of("xhirt", "shirt", 1), Some(1));
        assert_eq!(of("short", "skirt", 1), None);
        assert_eq!(of("headphnoes", "headphones", 2), Some(1));
        assert_eq!(of("hedphnoes", "headphones", 2), Some(2));
    }

    #[test]
    fn a_wrong_first_letter_counts_as_two() {
        let of = |a: &str, b: &str, limit| between(&a.chars().collect::<Vec<_>>(), b, limit);
        assert_eq!(of("lamps", "camps", 1), None);
        assert_eq!(of("lamps", "camps", 2), Some(2));
        assert_eq!(of("lamps", "lamp", 1), Some(1));
        assert_eq!(of("lamp", "lamp", 0), Some(0));
    }

    #[test]
    fn short_words_and_numbers_are_taken_as_they_are() {
        assert_eq!(["lamp", "lamps", "headphon", "headphone", "1234567890"].map(forgiven), [0, 1, 1, 2, 0]);
    }
}
