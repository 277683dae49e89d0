//! `/cart`: what is in it, what changed since, and the forms that change it.

use actix_web::{http::StatusCode, web::Path};
use askama::Template;
use contracts::{
    cart::{CartChange, CartLine, CartView, code},
    catalog::SkuId,
    pricing::{LineInput, MAX_QUANTITY},
};

use crate::{
    assets,
    error::{Answer, PageError},
    flash::Flash,
    format,
    forms::{Issues, Posted},
    frame::Frame,
    locale::Locale,
    visitor::Visitor,
};

/// A line, ready to be shown.
pub(crate) struct LineRow {
    pub(crate) sku_id: SkuId,
    pub(crate) href: String,
    pub(crate) title: String,
    pub(crate) options: String,
    pub(crate) image: String,
    pub(crate) quantity: i64,
    pub(crate) unit_price: Option<String>,
    pub(crate) subtotal: Option<String>,
    /// What changed, in words.
    pub(crate) changes: Vec<String>,
    /// Whether it counts.
    pub(crate) sold: bool,
}

#[derive(Template)]
#[template(path = "cart.html")]
pub(crate) struct CartPage {
    pub(crate) page: Frame,
    pub(crate) issues: Issues,
    pub(crate) rows: Vec<LineRow>,
    pub(crate) units: i64,
    pub(crate) subtotal: Option<String>,
    pub(crate) can_check_out: bool,
    pub(crate) changed: bool,
}

/// `GET /cart`.
pub(crate) async fn cart(visitor: Visitor) -> Answer {
    show(&visitor, Issues::default()).await
}

async fn show(visitor: &Visitor, issues: Issues) -> Answer {
    let cart = visitor.shop().carts.cart(&visitor.ctx(), ()).await?;
    visitor.keep_cart(&cart);
    let status = if issues.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame = visitor.frame(visitor.text("cart-title")).at("/cart");
    visitor.show(status, &view(frame, issues, &cart))
}

/// The page of a cart.
pub(crate) fn view(page: Frame, issues: Issues, cart: &CartView) -> CartPage {
    let locale = page.locale;
    let rows: Vec<LineRow> = cart.items.iter().map(|line| row(locale, line)).collect();
    CartPage {
        units: cart.quantity,
        subtotal: cart.subtotal.map(|subtotal| format::money(locale, subtotal)),
        can_check_out: rows.iter().any(|row| row.sold),
        changed: rows.iter().any(|row| !row.changes.is_empty()),
        page,
        issues,
        rows,
    }
}

fn row(locale: Locale, line: &CartLine) -> LineRow {
    LineRow {
        sku_id: line.sku_id,
        href: format!("/p/{}?sku={}", line.slug, line.sku_id),
        title: line.title.clone(),
        options: options(&line.options),
        image: line.image.clone().unwrap_or_else(|| assets::url("no-image.svg")),
        quantity: line.quantity,
        unit_price: line.unit_price.map(|price| format::money(locale, price)),
        subtotal: line.subtotal.map(|price| format::money(locale, price)),
        changes: line.changes.iter().map(|change| change_text(locale, change)).collect(),
        sold: line.unit_price.is_some() && !line.changes.contains(&CartChange::NotSold),
    }
}

/// Values of options on one line.
pub(crate) fn options(values: &[contracts::catalog::NamedValue]) -> String {
    values.iter().map(|pair| format!("{}: {}", pair.name, pair.value)).collect::<Vec<_>>().join(" · ")
}

fn change_text(locale: Locale, change: &CartChange) -> String {
    match change {
        CartChange::PriceChanged { from, to } => {
            let key = if to.currency == from.currency && to.amount < from.amount {
                "change-price-fell"
            } else {
                "change-price-rose"
            };
            let (from, to) = (format::money(locale, *from), format::money(locale, *to));
            locale.text_with_all(key, &[("from", &from), ("to", &to)])
        }
        CartChange::StockShort { available } if *available > 0 => {
            locale.counted("change-stock-short", *available)
        }
        CartChange::StockShort { .. } => locale.text("change-stock-gone"),
        CartChange::NotSold => locale.text("change-not-sold"),
    }
}

/// `POST /cart/items`: puts more of a SKU in.
pub(crate) async fn add(visitor: Visitor, posted: Posted) -> Answer {
    let sku_id: SkuId = posted.id("sku_id")?;
    let Some(more) = quantity(&posted).filter(|quantity| *quantity >= 1) else {
        return show(&visitor, wrong_quantity(visitor.locale())).await;
    };
    let carts = &visitor.shop().carts;
    let ctx = visitor.ctx();
    // Not `cart()`: that would count as having seen the prices.
    let already = match carts.checkout_lines(&ctx, ()).await {
        Ok(lines) => lines.iter().find(|line| line.sku_id == sku_id).map_or(0, |line| line.quantity),
        Err(failure) if failure.is(code::EMPTY) => 0,
        Err(failure) => return Err(failure.into()),
    };
    let wanted = (already + more).min(MAX_QUANTITY);
    let flash = if wanted < already + more { Flash::AddedToLimit } else { Flash::Added };
    put(&visitor, LineInput { sku_id, quantity: wanted }, flash).await
}

/// `POST /cart/items/{sku}`: sets how many.
pub(crate) async fn set(visitor: Visitor, sku: Path<String>, posted: Posted) -> Answer {
    let sku_id: SkuId = sku.parse().map_err(|_| PageError::not_found())?;
    match quantity(&posted) {
        Some(0) => take_out(&visitor, sku_id).await,
        Some(quantity) if quantity <= MAX_QUANTITY => {
            put(&visitor, LineInput { sku_id, quantity }, Flash::CartChanged).await
        }
        _ => show(&visitor, wrong_quantity(visitor.locale())).await,
    }
}

/// `POST /cart/items/{sku}/remove`.
pub(crate) async fn remove(visitor: Visitor, sku: Path<String>, _posted: Posted) -> Answer {
    let sku_id: SkuId = sku.parse().map_err(|_| PageError::not_found())?;
    take_out(&visitor, sku_id).await
}

/// `GET` of a form's target, after a log-in or a change of language.
pub(crate) async fn back(visitor: Visitor) -> Answer {
    Ok(visitor.go("/cart"))
}

async fn put(visitor: &Visitor, line: LineInput, flash: Flash) -> Answer {
    match visitor.shop().carts.put(&visitor.ctx(), line).await {
        Ok(cart) => {
            visitor.keep_cart(&cart);
            // This view has taken note of the new prices: the next one would not tell.
            let news =
                |line: &CartLine| line.changes.iter().any(|c| matches!(c, CartChange::PriceChanged { .. }));
            let flash = if cart.items.iter().any(news) { Flash::PricesChanged } else { flash };
            Ok(visitor.go_saying("/cart", flash))
        }
        Err(failure) => show(visitor, Issues::from_failure(visitor.locale(), failure)?).await,
    }
}

async fn take_out(visitor: &Visitor, sku_id: SkuId) -> Answer {
    let cart = visitor.shop().carts.remove(&visitor.ctx(), sku_id).await?;
    visitor.keep_cart(&cart);
    Ok(visitor.go_saying("/cart", Flash::Removed))
}

/// A whole number that is not negative; an empty field is one.
fn quantity(posted: &Posted) -> Option<i64> {
    let text = posted.line("quantity");
    if text.is_empty() {
        Some(1)
    } else {
        text.parse().ok().filter(|quantity| (0..=99_999).contains(quantity))
    }
}

fn wrong_quantity(locale: Locale) -> Issues {
    Issues { general: Some(locale.text("invalid-quantity")), fields: Vec::new() }
}
