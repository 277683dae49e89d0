//! What hits must be, as expressions of the server.

use kernel::Currency;

use crate::Filters;

/// A filter of a search; each has a facet of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Category,
    Brand,
    Price,
    Stock,
}

/// The filters that are on. `None` when one of them names what cannot exist: nothing is found then.
pub(crate) fn parts(filters: &Filters, currency: Currency) -> Option<Vec<(Part, String)>> {
    let mut parts = Vec::new();
    if let Some(key) = &filters.category {
        parts.push((Part::Category, format!("category_keys = {}", quoted(key)?)));
    }
    if let Some(key) = &filters.brand {
        parts.push((Part::Brand, format!("brand_keys = {}", quoted(key)?)));
    }
    let price = format!("prices.{}", currency.code());
    let bounds: Vec<String> = [(">=", filters.min_price), ("<=", filters.max_price)]
        .into_iter()
        .filter_map(|(sign, bound)| bound.map(|bound| format!("{price} {sign} {bound}")))
        .collect();
    if !bounds.is_empty() {
        parts.push((Part::Price, bounds.join(" AND ")));
    }
    if let Some(wanted) = filters.in_stock {
        parts.push((Part::Stock, format!("in_stock = {wanted}")));
    }
    Some(parts)
}

/// All of them, but one.
pub(crate) fn all_but(parts: &[(Part, String)], but: Option<Part>) -> Option<String> {
    let kept: Vec<&str> =
        parts.iter().filter(|(part, _)| Some(*part) != but).map(|(_, text)| text.as_str()).collect();
    (!kept.is_empty()).then(|| kept.join(" AND "))
}

/// A value in quotes. The server's syntax knows `\"` in it and nothing else, so a backslash cannot be said; no id or slug has
/// one, nor a control character.
fn quoted(value: &str) -> Option<String> {
    if value.is_empty() || value.contains(|c: char| c == '\\' || c.is_control()) {
        return None;
    }
    Some(format!("\"{}\"", value.to_lowercase().replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(key: &str) -> Option<Vec<(Part, String)>> {
        parts(&Filters { category: Some(key.to_owned()), ..Filters::default() }, Currency::USD)
    }

    #[test]
    fn values_stay_values() {
        let text = |key| category(key).map(|parts| parts[0].1.clone());
        assert_eq!(text("Mugs").as_deref(), Some("category_keys = \"mugs\""));
        assert_eq!(
            text("a\" OR in_stock = true OR \"").as_deref(),
            Some("category_keys = \"a\\\" or in_stock = true or \\\"\"")
        );
        assert_eq!(text("end\\"), None);
        assert_eq!(text("a\nb"), None);
    }

    #[test]
    fn prices_are_those_of_the_currency() {
        let filters =
            Filters { min_price: Some(5), max_price: Some(9), in_stock: Some(false), ..Filters::default() };
        let parts = parts(&filters, Currency::JPY).unwrap();
        assert_eq!(
            all_but(&parts, None).unwrap(),
            "prices.JPY >= 5 AND prices.JPY <= 9 AND in_stock = false"
        );
        assert_eq!(all_but(&parts, Some(Part::Price)).unwrap(), "in_stock = false");
        assert_eq!(all_but(&parts[..1], Some(Part::Price)), None);
    }
}
