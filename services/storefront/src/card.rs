//! A product in a list, ready to be shown.

use contracts::catalog::{ImageView, ProductCard};

use crate::{assets, format, locale::Locale};

/// A product in a list.
#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) href: String,
    pub(crate) title: String,
    /// The title as HTML with `<mark>`; search escapes everything else.
    pub(crate) highlight: Option<String>,
    pub(crate) brand: Option<String>,
    pub(crate) image: String,
    pub(crate) price: Option<String>,
    pub(crate) compare_at: Option<String>,
    pub(crate) in_stock: bool,
}

impl Card {
    /// The card of a product.
    pub(crate) fn new(locale: Locale, product: &ProductCard) -> Self {
        Self {
            href: format!("/p/{}", product.slug),
            title: product.title.clone(),
            highlight: None,
            brand: product.brand.clone(),
            image: image(product.image.as_ref()),
            price: product.price.map(|price| format::money(locale, price)),
            compare_at: reduced_from(product.price, product.compare_at).map(|was| format::money(locale, was)),
            in_stock: product.in_stock,
        }
    }
}

/// The address of an image, or of the drawing in its place.
pub(crate) fn image(image: Option<&ImageView>) -> String {
    image.map_or_else(|| assets::url("no-image.svg"), |image| image.url.clone())
}

/// The price before, where it is higher than the price now: no other is a reduction.
pub(crate) fn reduced_from(
    price: Option<kernel::Money>,
    before: Option<kernel::Money>,
) -> Option<kernel::Money> {
    before.filter(|was| price.is_some_and(|now| now.currency == was.currency && now.amount < was.amount))
}
