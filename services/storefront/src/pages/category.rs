//! `GET /c`: all categories. `GET /c/{slug}`: one, with its products.

use actix_web::{http::StatusCode, web::Path};
use askama::Template;

use crate::{
    categories::Link,
    error::{Answer, PageError},
    frame::Frame,
    listing::{Criteria, Listing},
    visitor::Visitor,
};

/// A top category and what is directly below it.
pub(crate) struct Branch {
    pub(crate) link: Link,
    pub(crate) below: Vec<Link>,
}

#[derive(Template)]
#[template(path = "categories.html")]
pub(crate) struct CategoriesPage {
    pub(crate) page: Frame,
    pub(crate) branches: Vec<Branch>,
}

#[derive(Template)]
#[template(path = "category.html")]
pub(crate) struct CategoryPage {
    pub(crate) page: Frame,
    pub(crate) name: String,
    pub(crate) above: Vec<Link>,
    pub(crate) below: Vec<Link>,
    pub(crate) listing: Listing,
}

/// All categories, two levels of them.
pub(crate) async fn categories(visitor: Visitor) -> Answer {
    let shop = visitor.shop();
    let tree = shop.categories.tree(&*shop.catalog, &*shop.clock, &visitor.ctx()).await?;
    let branches = tree
        .top
        .iter()
        .map(|link| Branch {
            link: link.clone(),
            below: tree.find(&link.slug).map(|entry| entry.below.clone()).unwrap_or_default(),
        })
        .collect();
    let title = visitor.text("categories-title");
    let page = CategoriesPage { page: visitor.frame(title.clone()).listed(title), branches };
    visitor.show(StatusCode::OK, &page)
}

/// A category: what is below it, and the products in all of it.
pub(crate) async fn category(visitor: Visitor, slug: Path<String>) -> Answer {
    let shop = visitor.shop();
    let ctx = visitor.ctx();
    let tree = shop.categories.tree(&*shop.catalog, &*shop.clock, &ctx).await?;
    let entry = tree.find(&slug).ok_or_else(PageError::not_found)?;
    let criteria = Criteria::category(&visitor, &slug);
    let results = shop.search.search(&ctx, criteria.query(shop.config.page_size)?).await?;
    let name = entry.link.name.clone();
    let description = visitor.locale().text_with("category-description", "name", &name);
    let page = CategoryPage {
        page: visitor.frame(name.clone()).listed(description),
        name,
        above: entry.above.clone(),
        below: entry.below.clone(),
        listing: Listing::new(visitor.locale(), &criteria, &results, false),
    };
    visitor.show(StatusCode::OK, &page)
}
