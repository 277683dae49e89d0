//! Text as the database keeps it.

/// Trims, drops control characters and folds runs of white space to one blank. What a person typed into a one-line
/// field passes through here once, on its way in.
pub fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn folds_white_space_and_control_characters() {
        assert_eq!(normalise("  Ada\u{0}\tde \n Lovelace "), "Ada de Lovelace");
    }
}
