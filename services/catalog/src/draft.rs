//! A product as somebody wants it: checked, normalised, sanitised; nothing of the database in it.

use std::collections::{HashMap, HashSet};

use contracts::{
    catalog::{CategoryId, ImageId, ImageInput, NamedValue, ProductInput, SkuInput},
    valid,
};
use kernel::{Failure, Result, normalise};

use crate::{
    model::{Details, option_key},
    sanitise::sanitise,
};

/// A product to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) slug: Option<String>,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) brand: Option<String>,
    pub(crate) category_id: Option<CategoryId>,
    pub(crate) details: Details,
    pub(crate) skus: Vec<DraftSku>,
    pub(crate) images: Vec<DraftImage>,
}

/// A SKU of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DraftSku {
    pub(crate) code: Option<String>,
    pub(crate) options: Vec<NamedValue>,
    pub(crate) barcode: Option<String>,
    pub(crate) weight_grams: i64,
}

impl DraftSku {
    pub(crate) fn key(&self) -> String {
        option_key(self.options.iter().map(|option| option.value.as_str()))
    }

    pub(crate) fn values(&self) -> Vec<&str> {
        self.options.iter().map(|option| option.value.as_str()).collect()
    }
}

/// An image of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DraftImage {
    pub(crate) source: ImageSource,
    pub(crate) alt: String,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageSource {
    /// To be fetched.
    Address(String),
    /// One that the product has already, as its own pages name it.
    Known(ImageId),
}

/// Path of an image, as shoppers' pages name it.
pub(crate) fn image_url(id: ImageId) -> String {
    format!("{MEDIA}{id}")
}

const MEDIA: &str = "/media/";

impl Draft {
    /// Checks and normalises; failures point into the body.
    pub(crate) fn read(input: ProductInput) -> Result<Self> {
        valid(&input)?;
        let title = normalise(&input.title);
        if title.is_empty() {
            return Err(Failure::invalid("/title", "must not be blank"));
        }
        let options = option_names(&input)?;
        let skus = skus(&options, input.skus)?;
        let images = input.images.into_iter().enumerate().map(image).collect::<Result<_>>()?;
        let mut seen = HashSet::new();
        let tags = input
            .tags
            .iter()
            .map(|tag| normalise(tag))
            .filter(|tag| !tag.is_empty() && seen.insert(tag.to_lowercase()));
        let attributes = input
            .attributes
            .iter()
            .map(|it| NamedValue { name: normalise(&it.name), value: normalise(&it.value) })
            .filter(|it| !it.name.is_empty() && !it.value.is_empty())
            .collect();
        Ok(Self {
            slug: input.slug,
            title,
            description: sanitise(&input.description),
            brand: input.brand.as_deref().map(normalise).filter(|name| !name.is_empty()),
            category_id: input.category_id,
            details: Details { options, attributes, tags: tags.collect() },
            skus,
            images,
        })
    }
}

/// The options' names; where they are not given, those of the first SKU.
fn option_names(input: &ProductInput) -> Result<Vec<String>> {
    let names: Vec<String> = if input.options.is_empty() {
        input
            .skus
            .first()
            .map(|sku| sku.options.iter().map(|it| normalise(&it.name)).collect())
            .unwrap_or_default()
    } else {
        input.options.iter().map(|name| normalise(name)).collect()
    };
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(Failure::invalid(format!("/options/{index}"), "must not be blank"));
        }
        if !seen.insert(name.to_lowercase()) {
            return Err(Failure::invalid(format!("/options/{index}"), "is named twice"));
        }
    }
    Ok(names)
}

fn skus(names: &[String], inputs: Vec<SkuInput>) -> Result<Vec<DraftSku>> {
    let mut keys: HashMap<String, usize> = HashMap::new();
    let mut codes: HashMap<String, usize> = HashMap::new();
    let mut skus = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.into_iter().enumerate() {
        let sku = DraftSku {
            options: values(names, &input.options, index)?,
            code: input.code.as_deref().map(normalise).filter(|code| !code.is_empty()),
            barcode: input.barcode.as_deref().map(normalise).filter(|barcode| !barcode.is_empty()),
            weight_grams: input.weight_grams,
        };
        if let Some(first) = keys.insert(sku.key(), index) {
            let detail = format!("are the same as those of /skus/{first}");
            return Err(Failure::invalid(format!("/skus/{index}/options"), detail));
        }
        if let Some(first) = sku.code.clone().and_then(|code| codes.insert(code, index)) {
            let detail = format!("is the same as that of /skus/{first}");
            return Err(Failure::invalid(format!("/skus/{index}/code"), detail));
        }
        skus.push(sku);
    }
    Ok(skus)
}

/// A SKU's values in the order of the product's options.
fn values(names: &[String], given: &[NamedValue], sku: usize) -> Result<Vec<NamedValue>> {
    let pointer = || format!("/skus/{sku}/options");
    if given.len() != names.len() {
        let wanted = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Failure::invalid(
            pointer(),
            format!("must have one value for each option of the product: {wanted}"),
        ));
    }
    names
        .iter()
        .map(|name| {
            let value = given
                .iter()
                .find(|it| normalise(&it.name).to_lowercase() == name.to_lowercase())
                .map(|it| normalise(&it.value))
                .filter(|value| !value.is_empty())
                .ok_or_else(|| Failure::invalid(pointer(), format!("must have a value for {name}")))?;
            Ok(NamedValue { name: name.clone(), value })
        })
        .collect()
}

fn image((index, input): (usize, ImageInput)) -> Result<DraftImage> {
    let src = input.src.trim();
    let source = if let Some(id) = src.strip_prefix(MEDIA) {
        let unknown = |_| Failure::invalid(format!("/images/{index}/src"), "is no image of this product");
        ImageSource::Known(id.parse().map_err(unknown)?)
    } else {
        let wrong = || Failure::invalid(format!("/images/{index}/src"), "must be an http or https address");
        let url = url::Url::parse(src).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong());
        }
        ImageSource::Address(src.to_owned())
    };
    Ok(DraftImage { source, alt: normalise(&input.alt) })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn named(name: &str, value: &str) -> NamedValue {
        NamedValue { name: name.to_owned(), value: value.to_owned() }
    }

    fn input(options: &[&str], skus: &[&[(&str, &str)]]) -> ProductInput {
        ProductInput {
            title: "  Varsity \t Top ".to_owned(),
            slug: None,
            description: "<p>Warm</p><script>x</script>".to_owned(),
            brand: Some(" Acme ".to_owned()),
            category_id: None,
            attributes: Vec::new(),
            tags: vec!["Wool".to_owned(), "wool ".to_owned(), " ".to_owned()],
            options: options.iter().map(|&name| name.to_owned()).collect(),
            skus: skus
                .iter()
                .map(|values| SkuInput {
                    code: None,
                    options: values.iter().map(|(name, value)| named(name, value)).collect(),
                    barcode: None,
                    weight_grams: 0,
                })
                .collect(),
            images: Vec::new(),
        }
    }

    #[test]
    fn normalises_and_sanitises() {
        let draft = Draft::read(input(&["Size", "Color"], &[&[("color", " Red "), ("Size", "M")]])).unwrap();
        assert_eq!(draft.title, "Varsity Top");
        assert_eq!(draft.description, "<p>Warm</p>");
        assert_eq!(draft.brand.as_deref(), Some("Acme"));
        assert_eq!(draft.details.tags, ["Wool"]);
        assert_eq!(draft.skus[0].options, [named("Size", "M"), named("Color", "Red")]);
    }

    #[test]
    fn points_at_what_is_wrong() {
        let pointer = |input: ProductInput| Draft::read(input).unwrap_err().fields()[0].pointer.clone();
        assert_eq!(pointer(input(&["Size"], &[&[("Size", "M")], &[("Size", "m")]])), "/skus/1/options");
        assert_eq!(pointer(input(&["Size"], &[&[("Size", "M")], &[]])), "/skus/1/options");
        assert_eq!(pointer(input(&["Size", "size"], &[&[("Size", "M"), ("size", "L")]])), "/options/1");
        assert_eq!(pointer(input(&[], &[&[], &[]])), "/skus/1/options");
        assert_eq!(pointer(input(&[], &[])), "/skus");
        let with_image = |src: &str| ProductInput {
            images: vec![ImageInput { src: src.to_owned(), alt: String::new() }],
            ..input(&[], &[&[]])
        };
        for src in
            ["ftp://a/b.png", "file:///etc/passwd", "javascript:alert(1)", "/media/nonsense", "picture.png"]
        {
            assert_eq!(pointer(with_image(src)), "/images/0/src", "{src}");
        }
        assert!(Draft::read(with_image("https://example.com/a.png")).is_ok());
    }

    #[test]
    fn takes_option_names_from_the_first_sku_where_none_are_given() {
        let draft = Draft::read(input(&[], &[&[("Size", "M")], &[("Size", "L")]])).unwrap();
        assert_eq!(draft.details.options, ["Size"]);
    }
}
