//! What products are sorted by and described with.

use std::slice;

use contracts::{
    Permission,
    catalog::{
        AssignAttributeSets, Attribute, AttributeKind, AttributeSetId, AttributeSetInput, BrandId,
        BrandInput, CategoryId, CategoryInput, CategoryNode, ImportedCategory, ReplaceAttributeSet,
        ReplaceBrand, ReplaceCategory, code,
    },
};
use kernel::{Result, Shard, code as general};

use crate::contracts::{
    callers::{nobody, refused, staff, system},
    fixture::Fixture,
    goods::{named, product},
};

fn category(name: &str, parent_id: Option<CategoryId>) -> CategoryInput {
    CategoryInput { name: name.to_owned(), slug: None, parent_id, position: 0 }
}

fn node(nodes: &[CategoryNode], id: CategoryId) -> Option<&CategoryNode> {
    nodes.iter().find_map(|it| if it.id == id { Some(it) } else { node(&it.children, id) })
}

pub(crate) async fn categories_make_a_tree(shop: &Fixture) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let keeper = staff(&[Permission::CatalogWrite]);
    let top = catalog.add_category(&keeper, category("茶 & Tassen", None)).await?;
    assert_eq!(top.name, "茶 & Tassen");
    let below = CategoryInput {
        slug: Some("small-cups".to_owned()),
        position: i32::MIN,
        ..category("Small cups", Some(top.id))
    };
    let low = catalog.add_category(&keeper, below.clone()).await?;
    assert_eq!(low.slug, "small-cups");
    let renamed =
        ReplaceCategory { id: low.id, category: CategoryInput { name: "Cups".to_owned(), ..below.clone() } };
    assert_eq!(catalog.replace_category(&keeper, renamed).await?.name, "Cups");
    let tree = catalog.categories(&nobody(), ()).await?;
    let shown = node(&tree, top.id).expect("the category is in the tree");
    assert_eq!((shown.children[0].id, shown.children[0].position), (low.id, i32::MIN));
    assert!(shown.children[0].children.is_empty());

    let cycle = ReplaceCategory { id: top.id, category: category("Top", Some(low.id)) };
    refused(catalog.replace_category(&keeper, cycle).await, code::CATEGORY_CYCLE, &["/parent_id"]);
    refused(catalog.add_category(&keeper, below.clone()).await, code::SLUG_TAKEN, &["/slug"]);
    let odd = CategoryInput { slug: Some("No Slug".to_owned()), ..category("", None) };
    refused(catalog.add_category(&keeper, odd).await, general::INVALID, &["/name", "/slug"]);
    let unknown = CategoryId::derive(Shard::new(0), &[b"unknown"]);
    let orphan = category("Orphan", Some(unknown));
    refused(catalog.add_category(&keeper, orphan).await, general::INVALID, &["/parent_id"]);
    refused(catalog.remove_category(&keeper, top.id).await, code::CATEGORY_NOT_EMPTY, &[]);
    refused(catalog.remove_category(&staff(&[]), low.id).await, general::FORBIDDEN, &[]);
    refused(catalog.add_category(&nobody(), below).await, general::UNAUTHENTICATED, &[]);
    catalog.remove_category(&keeper, low.id).await?;
    catalog.remove_category(&keeper, top.id).await?;
    refused(catalog.remove_category(&keeper, top.id).await, general::NOT_FOUND, &[]);
    assert!(node(&catalog.categories(&nobody(), ()).await?, top.id).is_none());
    Ok(())
}

pub(crate) async fn categories_of_a_file_are_known_by_their_id(shop: &Fixture) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let importer = staff(&[Permission::ImportRun]);
    let from_file = |id: &str, name: &str, parent: Option<&str>| ImportedCategory {
        external_id: id.to_owned(),
        name: name.to_owned(),
        parent_external_id: parent.map(str::to_owned),
    };
    let mut file = vec![from_file("g-1", "花园 Garden", None), from_file("g-2", "Pots", Some("g-1"))];
    let import = async |file: &[ImportedCategory]| {
        let counts = catalog.import_categories(&importer, file.to_vec()).await?;
        Ok::<_, kernel::Failure>((counts.created, counts.updated, counts.unchanged))
    };
    assert_eq!(import(&file).await?, (2, 0, 0));
    file[1].name = "Planters".to_owned();
    assert_eq!(import(&file).await?, (0, 1, 1));
    assert_eq!(import(&[]).await?, (0, 0, 0));
    let orphan = [from_file("g-3", "Shears", Some("g-99"))];
    refused(import(&orphan).await, general::INVALID, &["/0/parent_external_id"]);
    let long: Vec<_> = (0..1_001).map(|n| from_file(&n.to_string(), "园", None)).collect();
    refused(import(&long).await, general::INVALID, &["/"]);
    refused(catalog.import_categories(&staff(&[]), file).await, general::FORBIDDEN, &[]);
    Ok(())
}

pub(crate) async fn a_brand_has_one_name(shop: &Fixture) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let keeper = staff(&[Permission::CatalogWrite]);
    let brand = |name: &str| BrandInput { name: name.to_owned() };
    let made = catalog.add_brand(&keeper, brand("Børk 陶器")).await?;
    refused(catalog.add_brand(&keeper, brand("BØRK 陶器")).await, code::SLUG_TAKEN, &["/name"]);
    refused(catalog.add_brand(&keeper, brand(" ")).await, general::INVALID, &["/name"]);
    let renamed = ReplaceBrand { id: made.id, brand: brand("Bjørk") };
    let renamed = catalog.replace_brand(&keeper, renamed).await?;
    assert_eq!((renamed.id, &renamed.slug, renamed.name.as_str()), (made.id, &made.slug, "Bjørk"));
    assert!(catalog.brands(&nobody(), ()).await?.contains(&renamed));
    let used = contracts::catalog::ProductInput { brand: Some("bjørk".to_owned()), ..product("Branded") };
    assert_eq!(catalog.add_product(&keeper, used).await?.brand, Some(renamed));
    refused(catalog.remove_brand(&keeper, made.id).await, code::BRAND_IN_USE, &[]);
    let unused = catalog.add_brand(&keeper, brand("Unused")).await?;
    refused(catalog.remove_brand(&staff(&[]), unused.id).await, general::FORBIDDEN, &[]);
    catalog.remove_brand(&keeper, unused.id).await?;
    assert!(!catalog.brands(&nobody(), ()).await?.contains(&unused));
    let unknown = BrandId::derive(Shard::new(0), &[b"unknown"]);
    refused(catalog.remove_brand(&keeper, unknown).await, general::NOT_FOUND, &[]);
    let unknown = ReplaceBrand { id: unknown, brand: brand("Unknown") };
    refused(catalog.replace_brand(&keeper, unknown).await, general::NOT_FOUND, &[]);
    Ok(())
}

fn attribute(name: &str, kind: AttributeKind, unit: Option<&str>, choices: &[&str]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        kind,
        unit: unit.map(str::to_owned),
        choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
        required: false,
        filterable: true,
    }
}

pub(crate) async fn an_attribute_set_counts_below_its_category(shop: &Fixture) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let keeper = staff(&[Permission::CatalogWrite]);
    let set = |name: &str, attributes: &[Attribute]| AttributeSetInput {
        name: name.to_owned(),
        attributes: attributes.to_vec(),
    };
    let wide = attribute("Breite", AttributeKind::Number, Some("㎝"), &[]);
    let made = attribute("Glaze", AttributeKind::Choice, None, &["青", "matte"]);
    let added = catalog.add_attribute_set(&keeper, set("Pottery", &[wide.clone(), made.clone()])).await?;
    assert_eq!(added.attributes, [wide.clone(), made]);
    assert!(added.category_ids.is_empty());
    refused(
        catalog.add_attribute_set(&keeper, set("pottery", &[])).await,
        code::ATTRIBUTE_SET_TAKEN,
        &["/name"],
    );
    refused(catalog.add_attribute_set(&keeper, set("", &[])).await, general::INVALID, &["/name"]);

    let top = catalog.add_category(&keeper, category("Pottery", None)).await?;
    let low = catalog.add_category(&keeper, category("Bowls", Some(top.id))).await?;
    let assign = |category_id, set_ids: &[AttributeSetId]| AssignAttributeSets {
        category_id,
        set_ids: set_ids.to_vec(),
    };
    let assigned = catalog.assign_attribute_sets(&keeper, assign(top.id, &[added.id])).await?;
    assert_eq!(catalog.category_attributes(&nobody(), low.id).await?, assigned);
    assert!(assigned.iter().all(|it| (it.set_id, it.category_id) == (added.id, top.id)));
    let sets = catalog.attribute_sets(&nobody(), ()).await?;
    assert!(sets.iter().any(|set| set.id == added.id && set.category_ids == [top.id]));
    let described = contracts::catalog::ProductInput {
        category_id: Some(low.id),
        attributes: vec![named("breite", "wide")],
        ..product("Bowl")
    };
    refused(catalog.add_product(&keeper, described).await, general::INVALID, &["/attributes/0/value"]);

    let unknown = AttributeSetId::derive(Shard::new(0), &[b"unknown"]);
    let twice = assign(low.id, &[added.id, added.id]);
    refused(catalog.assign_attribute_sets(&keeper, twice).await, general::INVALID, &["/set_ids/1"]);
    let other = assign(low.id, &[unknown]);
    refused(catalog.assign_attribute_sets(&keeper, other).await, general::INVALID, &["/set_ids/0"]);
    refused(catalog.remove_attribute_set(&keeper, added.id).await, code::ATTRIBUTE_SET_IN_USE, &[]);
    assert!(catalog.assign_attribute_sets(&keeper, assign(top.id, &[])).await?.is_empty());
    let narrow = ReplaceAttributeSet { id: added.id, set: set("Ceramics", slice::from_ref(&wide)) };
    assert_eq!(catalog.replace_attribute_set(&keeper, narrow.clone()).await?.attributes, [wide]);
    refused(catalog.replace_attribute_set(&staff(&[]), narrow).await, general::FORBIDDEN, &[]);
    catalog.remove_attribute_set(&keeper, added.id).await?;
    refused(catalog.remove_attribute_set(&keeper, added.id).await, general::NOT_FOUND, &[]);
    let unknown = CategoryId::derive(Shard::new(0), &[b"unknown"]);
    refused(catalog.category_attributes(&nobody(), unknown).await, general::NOT_FOUND, &[]);
    refused(catalog.assign_attribute_sets(&system(), assign(unknown, &[])).await, general::NOT_FOUND, &[]);
    Ok(())
}
