//! What search engines read of a product: schema.org as JSON-LD, and a plain-text summary.

use contracts::catalog::{ProductRecord, SkuId};
use kernel::Money;
use serde_json::{Value, json};

use crate::frame::Frame;

/// A SKU that can be had at a price.
pub(crate) struct Offer {
    pub(crate) sku: SkuId,
    pub(crate) code: String,
    pub(crate) price: Money,
    pub(crate) in_stock: bool,
}

/// <https://schema.org/Product> with an offer a SKU and the breadcrumbs, ready to stand in a `<script>`: `<` is written
/// as an escape, so that no text of a merchant ends the element.
pub(crate) fn json_ld(page: &Frame, product: &ProductRecord, offers: &[Offer]) -> String {
    let url = page.absolute(&format!("/p/{}", product.slug));
    let availability =
        |yes: bool| if yes { "https://schema.org/InStock" } else { "https://schema.org/OutOfStock" };
    let offers: Vec<Value> = offers
        .iter()
        .map(|offer| {
            json!({
                "@type": "Offer",
                "sku": offer.code,
                "url": format!("{url}?sku={}", offer.sku),
                "price": offer.price.decimal(),
                "priceCurrency": offer.price.currency.code(),
                "availability": availability(offer.in_stock),
            })
        })
        .collect();
    let crumbs: Vec<Value> = product
        .categories
        .iter()
        .enumerate()
        .map(|(index, category)| {
            json!({
                "@type": "ListItem",
                "position": index + 1,
                "name": category.name,
                "item": page.absolute(&format!("/c/{}", category.slug)),
            })
        })
        .collect();
    let mut described = json!({
        "@type": "Product",
        "name": product.title,
        "url": url,
        "description": plain_text(&product.description),
        "image": product.images.iter().map(|image| page.absolute(&image.url)).collect::<Vec<_>>(),
        "offers": offers,
    });
    if let (Some(brand), Some(object)) = (&product.brand, described.as_object_mut()) {
        object.insert("brand".to_owned(), json!({ "@type": "Brand", "name": brand.name }));
    }
    let mut graph = vec![described];
    if !crumbs.is_empty() {
        graph.push(json!({ "@type": "BreadcrumbList", "itemListElement": crumbs }));
    }
    json!({ "@context": "https://schema.org", "@graph": graph }).to_string().replace('<', "\\u003c")
}

/// The text of sanitised HTML, on one line. The five entities a serialiser writes are read back.
pub(crate) fn plain_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => {
                in_tag = true;
                text.push(' ');
            }
            '>' if in_tag => in_tag = false,
            _ if in_tag => {}
            c => text.push(c),
        }
    }
    let text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    kernel::normalise(&text.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::Frame, samples};

    #[test]
    fn a_title_cannot_end_the_script() {
        let mut product = samples::product();
        product.title = "</script><script>alert(1)</script>".to_owned();
        let text = json_ld(&Frame::sample(crate::locale::Locale::En), &product, &[]);
        assert!(!text.contains('<'));
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["@graph"][0]["name"], product.title);
    }

    #[test]
    fn markup_becomes_plain_text() {
        assert_eq!(plain_text("<p>Salt &amp; pepper</p><ul><li>two</li></ul>"), "Salt & pepper two");
    }
}
