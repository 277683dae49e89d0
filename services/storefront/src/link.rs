//! Addresses of our own pages.

use url::{Url, form_urlencoded::Serializer};

/// `path?name=value&…`; parameters without a value are left out.
pub(crate) fn with_params<'a>(path: &str, params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(params.into_iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// `next`, when it is a path of this shop; the home page otherwise. What a browser would read as another host
/// (`//evil`, `/\evil`, `/%09/…` with control characters) is no path of ours.
pub(crate) fn local(next: &str) -> String {
    let home = || "/".to_owned();
    if !next.starts_with('/')
        || next.contains('\\')
        || next.chars().any(char::is_control)
        || next.len() > 2_000
    {
        return home();
    }
    let Ok(base) = Url::parse("http://shop.invalid/") else { return home() };
    match base.join(next) {
        Ok(url) if url.origin() == base.origin() && url.username().is_empty() && url.password().is_none() => {
            let mut path = url.path().to_owned();
            if path.starts_with("//") {
                return home();
            }
            if let Some(query) = url.query() {
                path.push('?');
                path.push_str(query);
            }
            path
        }
        _ => home(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_paths_are_followed() {
        assert_eq!(local("/checkout?address_id=adr_1"), "/checkout?address_id=adr_1");
        assert_eq!(local("/p/caf%C3%A9"), "/p/caf%C3%A9");
        for evil in [
            "",
            "https://evil.test",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "/\t/evil.test",
            "javascript:alert(1)",
            "/..//evil.test",
            "/.//evil.test",
            "evil",
        ] {
            assert_eq!(local(evil), "/", "{evil:?}");
        }
    }

    #[test]
    fn empty_parameters_are_left_out() {
        assert_eq!(with_params("/search", [("q", "tea & milk"), ("brand", "")]), "/search?q=tea+%26+milk");
        assert_eq!(with_params("/c/x", [("sort", "")]), "/c/x");
    }
}
