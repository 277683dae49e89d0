//! Descriptions: HTML from merchants and files, made safe to show.

use std::{collections::HashSet, sync::LazyLock};

use ammonia::{Builder, UrlRelative};

/// Structure and emphasis stay; scripts, styles, forms, frames, event handlers and `javascript:` addresses go. Images in
/// descriptions go too: they would tell a stranger's server who looks at the page, and the page's policy refuses them.
static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::default();
    cleaner
        .rm_tags(["img", "map", "area", "center"])
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some("noopener noreferrer nofollow"));
    cleaner
});

/// The safe form of `html`. Text without markup is kept as it is, apart from the escaping that HTML asks for.
pub(crate) fn sanitise(html: &str) -> String {
    let html = html.trim();
    if html.is_empty() { String::new() } else { CLEANER.clean(html).to_string() }
}

#[cfg(test)]
mod tests {
    use super::sanitise;

    #[test]
    fn keeps_structure_and_drops_what_could_act() {
        assert_eq!(sanitise("<p>Soft <b>wool</b></p>"), "<p>Soft <b>wool</b></p>");
        for bad in [
            "<script>alert(1)</script>",
            "<p onclick=\"alert(1)\">x</p>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<style>*{display:none}</style>",
            "<p style=\"position:fixed\">x</p>",
            "<svg/onload=alert(1)>",
            "<iframe src=\"//evil\"></iframe>",
            "<img src=x onerror=alert(1)>",
            "<form action=\"/\"><input></form>",
            "<a href=\" java\nscript:alert(1)\">x</a>",
        ] {
            let clean = sanitise(bad);
            for sign in
                ["alert", "onclick", "onerror", "onload", "style", "iframe", "<img", "<form", "script:"]
            {
                assert!(!clean.contains(sign), "{bad} became {clean}");
            }
        }
    }

    #[test]
    fn escapes_stray_signs() {
        assert_eq!(sanitise("3 < 5 & rising"), "3 &lt; 5 &amp; rising");
    }
}
