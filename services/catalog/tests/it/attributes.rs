//! Attribute sets: inherited down the tree, asked for when a product is saved or published.

use contracts::catalog::{
    AssignAttributeSets, Attribute, AttributeKind, AttributeSetInput, AttributeSetView, Catalog, CategoryRef,
    FileProduct, NamedValue, ProductAction, ProductInput, ReplaceAttributeSet, code,
};
use kernel::code as request;

use crate::{Site, input, site, stranger};

fn attribute(name: &str, kind: AttributeKind) -> Attribute {
    let choices =
        if kind == AttributeKind::Choice { vec!["Slim".to_owned(), "Wide".to_owned()] } else { vec![] };
    let unit = (kind == AttributeKind::Number).then(|| "cm".to_owned());
    Attribute { name: name.to_owned(), kind, unit, choices, required: false, filterable: true }
}

fn given(category: &CategoryRef, values: &[(&str, &str)]) -> ProductInput {
    let named = |&(name, value): &(&str, &str)| NamedValue { name: name.to_owned(), value: value.to_owned() };
    ProductInput {
        category_id: Some(category.id),
        attributes: values.iter().map(named).collect(),
        ..input("Shirt", &[])
    }
}

impl Site {
    async fn set(&self, name: &str, attributes: Vec<Attribute>) -> AttributeSetView {
        let set = AttributeSetInput { name: name.to_owned(), attributes };
        self.catalog.add_attribute_set(&self.ctx, set).await.unwrap()
    }

    async fn assign(&self, category: &CategoryRef, sets: &[&AttributeSetView]) -> Vec<String> {
        let set_ids = sets.iter().map(|set| set.id).collect();
        let command = AssignAttributeSets { category_id: category.id, set_ids };
        let all = self.catalog.assign_attribute_sets(&self.ctx, command).await.unwrap();
        all.into_iter().map(|it| it.attribute.name).collect()
    }
}

#[tokio::test]
async fn a_category_asks_what_those_above_it_ask_and_products_answer() {
    let site = site().await;
    let clothes = site.category("Clothes", None).await;
    let shirts = site.category("Shirts", Some(&clothes)).await;
    let mut material = attribute("Material", AttributeKind::Text);
    material.required = true;
    let general = site.set("General", vec![material]).await;
    let cut = site
        .set("Cut", vec![attribute("Fit", AttributeKind::Choice), attribute("Length", AttributeKind::Number)])
        .await;
    assert_eq!(site.assign(&clothes, &[&general]).await, ["Material"]);
    assert_eq!(site.assign(&shirts, &[&cut]).await, ["Material", "Fit", "Length"]);

    let wrong = site.catalog.add_product(&site.ctx, given(&shirts, &[("fit", "Tight")])).await.unwrap_err();
    assert_eq!(wrong.fields()[0].pointer, "/attributes/0/value");
    // A draft may be without what is required; a published product may not.
    let draft = site.add(given(&shirts, &[("fit", "slim"), ("Made in", "Peru"), ("length", "70cm")])).await;
    let shown: Vec<_> =
        draft.attributes.iter().map(|it| (it.name.as_str(), it.value.as_str(), it.unit.as_deref())).collect();
    assert_eq!(shown, [("Fit", "Slim", None), ("Length", "70", Some("cm")), ("Made in", "Peru", None)]);
    assert_eq!(draft.attributes[0].kind, AttributeKind::Choice);
    let refused = site.go(&draft, ProductAction::Publish).await.unwrap_err();
    assert_eq!((refused.status(), refused.fields()[0].pointer.as_str()), (422, "/attributes"));
    assert!(refused.fields()[0].detail.contains("Material"), "{:?}", refused.fields());
    let whole = site.replace(&draft, given(&shirts, &[("MATERIAL", "Linen")]), None).await.unwrap();
    let published = site.go(&whole, ProductAction::Publish).await.unwrap();
    let refused = site.replace(&published, given(&shirts, &[]), None).await.unwrap_err();
    assert_eq!(refused.fields()[0].pointer, "/attributes");

    // A file's rows are asked the same; one that fails does not stop the others.
    let import = |slug: &str, published: bool, values: &[(&str, &str)]| {
        let product = ProductInput { slug: Some(slug.to_owned()), ..given(&shirts, values) };
        FileProduct::whole(product, published, Some("Shirts".to_owned()))
    };
    let batch = vec![
        import("bare", true, &[]),
        import("draft", false, &[]),
        import("long", false, &[("Length", "long")]),
        import("fine", true, &[("Material", "Wool")]),
    ];
    let results = site.catalog.import_file_products(&site.ctx, batch).await.unwrap();
    assert!(results[0].error.as_ref().unwrap().contains("Material"));
    assert!(results[1].error.is_none() && results[3].error.is_none());
    assert!(results[2].error.as_ref().unwrap().contains("/attributes/0/value"));
}

#[tokio::test]
async fn a_set_that_changes_is_asked_for_at_the_next_change_of_a_product() {
    let site = site().await;
    let shirts = site.category("Shirts", None).await;
    let set = site.set("Cut", vec![attribute("Fit", AttributeKind::Text)]).await;
    site.assign(&shirts, &[&set]).await;
    let shirt = site.add(given(&shirts, &[("Fit", "Loose")])).await;
    let published = site.go(&shirt, ProductAction::Publish).await.unwrap();
    let change = ReplaceAttributeSet {
        id: set.id,
        set: AttributeSetInput {
            name: "Cut".to_owned(),
            attributes: vec![attribute("Fit", AttributeKind::Choice)],
        },
    };
    let changed = site.catalog.replace_attribute_set(&site.ctx, change).await.unwrap();
    assert_eq!(changed.category_ids, [shirts.id]);
    let kept = site.catalog.product(&site.ctx, published.id.to_string()).await.unwrap();
    assert_eq!((kept.attributes[0].value.as_str(), kept.attributes[0].kind), ("Loose", AttributeKind::Text));
    site.go(&published, ProductAction::Unshelve).await.unwrap();
    let refused = site.go(&published, ProductAction::Shelve).await.unwrap_err();
    assert_eq!(refused.fields()[0].pointer, "/attributes/0/value");
}

#[tokio::test]
async fn sets_have_one_name_and_are_not_removed_while_a_category_has_them() {
    let site = site().await;
    let (shirts, set) = (site.category("Shirts", None).await, site.set("Cut", vec![]).await);
    let twin = AttributeSetInput { name: " CUT".to_owned(), attributes: vec![] };
    let refused = site.catalog.add_attribute_set(&site.ctx, twin.clone()).await.unwrap_err();
    assert!(refused.is(code::ATTRIBUTE_SET_TAKEN));
    assert!(
        site.catalog
            .add_attribute_set(&stranger(&site.ctx), twin)
            .await
            .unwrap_err()
            .is(request::UNAUTHENTICATED)
    );
    site.assign(&shirts, &[&set]).await;
    let refused = site.catalog.remove_attribute_set(&site.ctx, set.id).await.unwrap_err();
    assert!(refused.is(code::ATTRIBUTE_SET_IN_USE));
    let twice = AssignAttributeSets { category_id: shirts.id, set_ids: vec![set.id, set.id] };
    let refused = site.catalog.assign_attribute_sets(&site.ctx, twice).await.unwrap_err();
    assert_eq!(refused.fields()[0].pointer, "/set_ids/1");
    // A category that goes gives its sets back.
    site.catalog.remove_category(&site.ctx, shirts.id).await.unwrap();
    site.catalog.remove_attribute_set(&site.ctx, set.id).await.unwrap();
    assert!(site.catalog.attribute_sets(&site.ctx, ()).await.unwrap().is_empty());
    assert!(site.catalog.remove_attribute_set(&site.ctx, set.id).await.unwrap_err().is(request::NOT_FOUND));
}
