//! Text as the database keeps it.

/// Trims, drops control characters and folds runs of white space to one blank. What a person typed into a one-line
/// field passes through here once, on its way in.
///
/// Characters that turn the direction of what follows are dropped too: a name must not change how the text around it
/// reads (Unicode TR 36). So are blanks without width; the joiners that Persian and emoji are written with stay.
pub fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let unseen = |c| matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let text = text.replace(unseen, "");
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

    #[test]
    fn leaves_nothing_that_misleads_the_eye() {
        assert_eq!(normalise("\u{200b} \u{feff}"), "");
        assert_eq!(normalise("\u{202e}adA\u{202c} \u{2066}x\u{2069}"), "adA x");
        let family = "\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(normalise(family), family);
    }
}
