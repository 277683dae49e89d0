//! Tables of the catalog: the category tree, brands, products with their SKUs, slugs and images.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, bytes, create, table};

/// The catalog's tables.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_catalog"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, reference().into_iter().chain(products()).collect(), INDEXES).await?;
        let first = Query::insert()
            .into_table("category_tree")
            .columns(["id", "version"])
            .values_panic([1.into(), 1.into()])
            .on_conflict(OnConflict::column("id").update_column("id").to_owned())
            .to_owned();
        manager.execute(first).await.map(|_| ())
    }
}

const INDEXES: &[NewIndex] = &[
    // "Below a category" is a prefix of the path.
    ("category_by_path", "category", false, &["path"]),
    ("category_by_parent", "category", false, &["parent_id"]),
    ("product_by_id", "product", false, &["id"]),
    // Listings, newest first: of everything, of a category, of a brand.
    ("product_sold", "product", false, &["sold", "published_at", "id"]),
    ("product_in_category", "product", false, &["category_id", "sold", "published_at", "id"]),
    ("product_of_brand", "product", false, &["brand_id", "sold", "published_at", "id"]),
    ("sku_of_product", "sku", false, &["shard", "product_id"]),
    ("product_slug_of_product", "product_slug", false, &["product_id"]),
    ("product_image_of_product", "product_image", false, &["shard", "product_id"]),
    ("product_image_due", "product_image", false, &["state", "due_at"]),
    ("category_by_slug", "category", true, &["slug"]),
    ("category_by_external_id", "category", true, &["external_id"]),
    ("brand_by_slug", "brand", true, &["slug"]),
    ("brand_by_name_key", "brand", true, &["name_key"]),
];

/// Reference data: small, read everywhere, so not sharded.
fn reference() -> Vec<NewTable> {
    vec![
        // One row that every change of the tree writes, so that two changes never decide on the same tree.
        table("category_tree", vec![integer("id"), big_integer("version")], &["id"]),
        table(
            "category",
            vec![
                uuid("id"),
                uuid_null("parent_id"),
                string_len("slug", 200),
                string_len("name", 200),
                integer("position"),
                string_len_null("external_id", 200),
                // Ids (32 hex digits and a slash each) from the top down to this one.
                string_len("path", 700),
                big_integer("created_at"),
                big_integer("updated_at"),
            ],
            &["id"],
        ),
        table(
            "brand",
            vec![
                uuid("id"),
                string_len("slug", 200),
                string_len("name", 200),
                // Lower-case name: two brands do not differ by case alone.
                string_len("name_key", 200),
                big_integer("created_at"),
            ],
            &["id"],
        ),
    ]
}

fn products() -> Vec<NewTable> {
    vec![
        table(
            "product",
            vec![
                integer("shard"),
                uuid("id"),
                string_len("slug", 200),
                string_len("title", 300),
                custom("description", "mediumtext"),
                uuid_null("brand_id"),
                uuid_null("category_id"),
                // JSON: options, attributes, tags; shown, never queried.
                bytes("details"),
                string_len("state", 16),
                boolean("on_shelf"),
                // Published and on the shelf: what listings ask for.
                boolean("sold"),
                big_integer_null("published_at"),
                big_integer("version"),
                // What the last import said, to know one that says the same.
                binary_len_null("import_hash", 32),
                boolean_null("import_published"),
                big_integer("created_at"),
                big_integer("updated_at"),
            ],
            &["shard", "id"],
        ),
        table(
            "sku",
            vec![
                integer("shard"),
                uuid("id"),
                uuid("product_id"),
                integer("position"),
                string_len("code", 100),
                // JSON: name and value of each option, in the product's order.
                bytes("options"),
                string_len_null("barcode", 50),
                big_integer("weight_grams"),
                boolean("retired"),
            ],
            &["shard", "id"],
        ),
        // Uniqueness over all shards: a small table each.
        table("sku_code", vec![string_len("code", 100), uuid("sku_id")], &["code"]),
        table(
            "product_slug",
            vec![string_len("slug", 200), uuid("product_id"), boolean("current")],
            &["slug"],
        ),
        table(
            "product_image",
            vec![
                integer("shard"),
                uuid("id"),
                uuid("product_id"),
                integer("position"),
                string_len("src", 2000),
                string_len("alt", 500),
                // pending, stored, failed or drawn.
                string_len("state", 16),
                integer("attempts"),
                big_integer("due_at"),
                string_len_null("content_type", 50),
            ],
            &["shard", "id"],
        ),
    ]
}
