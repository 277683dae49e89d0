//! `/checkout`: where to, what it comes to, and placing the order once.

use actix_web::http::StatusCode;
use askama::Template;
use contracts::{
    account::{AddressId, AddressView},
    cart,
    order::{AskQuote, OrderView, PayOrder, PlaceOrder},
    pricing::QuoteView,
};
use kernel::Failure;

use crate::{
    error::{Answer, PageError},
    flash::Flash,
    forms::{Field, Issues, Posted},
    frame::Frame,
    link,
    pages::addresses,
    quote::{PricedRow, Step, Sums, steps},
    token,
    visitor::Visitor,
};

/// An address to choose.
pub(crate) struct AddressChoice {
    pub(crate) id: AddressId,
    pub(crate) recipient: String,
    pub(crate) lines: Vec<String>,
    pub(crate) chosen: bool,
    pub(crate) is_default: bool,
}

/// The order as it would be placed.
pub(crate) struct Draft {
    pub(crate) quote: String,
    pub(crate) key: String,
    pub(crate) remark: Field,
}

#[derive(Template)]
#[template(path = "checkout.html")]
pub(crate) struct CheckoutPage {
    pub(crate) page: Frame,
    pub(crate) issues: Issues,
    pub(crate) addresses: Vec<AddressChoice>,
    pub(crate) address_fields: Vec<Field>,
    pub(crate) address_open: bool,
    pub(crate) rows: Vec<PricedRow>,
    pub(crate) sums: Option<Sums>,
    pub(crate) steps: Vec<Step>,
    pub(crate) draft: Option<Draft>,
}

/// What was posted and is shown again.
#[derive(Default)]
struct Again {
    issues: Issues,
    order: Posted,
    address: Option<Posted>,
    chosen: Option<AddressId>,
    status: StatusCode,
}

/// `GET /checkout?address_id=`.
pub(crate) async fn checkout(visitor: Visitor) -> Answer {
    let chosen = visitor.param("address_id").parse().ok();
    show(&visitor, Again { chosen, ..Again::default() }).await
}

async fn show(visitor: &Visitor, mut again: Again) -> Answer {
    visitor.member("/checkout")?;
    let shop = visitor.shop();
    let ctx = visitor.ctx();
    let locale = visitor.locale();
    let items = match shop.carts.checkout_lines(&ctx, ()).await {
        Ok(items) => items,
        Err(failure) if failure.is(cart::code::EMPTY) => return Ok(visitor.go("/cart")),
        Err(failure) => return Err(failure.into()),
    };
    let addresses = shop.accounts.addresses(&ctx, ()).await?;
    let chosen = again
        .chosen
        .and_then(|id| addresses.iter().find(|address| address.id == id))
        .or_else(|| addresses.first())
        .map(|address| address.id);
    let quote = match shop.orders.quote(&ctx, AskQuote { items, address_id: chosen }).await {
        Ok(quote) => Some(quote),
        Err(failure) => {
            // Only what the shopper can change in the cart is shown here.
            let found = Issues::from_failure(locale, failure)?;
            if again.issues.is_empty() {
                again.issues = found;
            }
            if again.status == StatusCode::OK {
                again.status = StatusCode::CONFLICT;
            }
            None
        }
    };
    let here = chosen.map_or_else(|| "/checkout".to_owned(), delivering_to);
    let frame = visitor.frame(visitor.text("checkout-title")).at(here);
    visitor.show(again.status, &view(frame, again, &addresses, chosen, quote.as_ref()))
}

/// The page with this address chosen.
fn delivering_to(address: AddressId) -> String {
    link::with_params("/checkout", [("address_id", address.to_string().as_str())])
}

fn view(
    page: Frame,
    again: Again,
    addresses: &[AddressView],
    chosen: Option<AddressId>,
    quote: Option<&QuoteView>,
) -> CheckoutPage {
    let locale = page.locale;
    // Whether an order was placed may be unknown: the same form again finds out, and places no second one.
    let posted = |name: &str| {
        let unsettled = again.status == StatusCode::SERVICE_UNAVAILABLE;
        Some(again.order.raw(name)).filter(|value| unsettled && !value.is_empty()).map(str::to_owned)
    };
    let same = posted("quote").zip(posted("key"));
    let address_posted = again.address.unwrap_or_else(|| addresses::blank(locale));
    CheckoutPage {
        addresses: addresses
            .iter()
            .map(|view| AddressChoice {
                id: view.id,
                recipient: view.address.recipient.clone(),
                lines: addresses::lines(locale, &view.address),
                chosen: Some(view.id) == chosen,
                is_default: view.address.is_default,
            })
            .collect(),
        address_open: addresses.is_empty()
            || !again.issues.fields.is_empty() && again.issues.about("remark").is_none(),
        address_fields: addresses::fields(locale, &address_posted, &again.issues),
        rows: quote
            .map(|quote| quote.lines.iter().map(|line| PricedRow::quoted(locale, line)).collect())
            .unwrap_or_default(),
        sums: quote.map(|quote| Sums::new(locale, &quote.totals)),
        steps: quote.map(|quote| steps(locale, &quote.explanation)).unwrap_or_default(),
        draft: quote.filter(|_| chosen.is_some()).map(|fresh| {
            let (quote, key) = same.unwrap_or_else(|| (fresh.quote.clone(), token::random()));
            Draft {
                quote,
                key,
                remark: Field::new(locale, "remark")
                    .kind("textarea")
                    .optional()
                    .longest(500)
                    .filled(&again.order, &again.issues),
            }
        }),
        issues: again.issues,
        page,
    }
}

/// `POST /checkout`: places the order and opens its payment. The form's key makes both happen once, however often it is
/// sent. It goes to the address that is ticked; the quote was signed for the one that was ticked when the page was made,
/// so that another one is refused and the page shows what it comes to there.
pub(crate) async fn place(visitor: Visitor, posted: Posted) -> Answer {
    visitor.member("/checkout")?;
    let address_id: AddressId = posted.id("address_id")?;
    let key = posted.key()?.to_owned();
    let remark = posted.raw("remark").trim();
    let command = PlaceOrder {
        address_id,
        items: None,
        quote: Some(posted.raw("quote").to_owned()).filter(|quote| !quote.is_empty()),
        remark: Some(remark.to_owned()).filter(|remark| !remark.is_empty()),
    };
    let issues = Issues::of(visitor.locale(), &command);
    if !issues.is_empty() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return show(
            &visitor,
            Again { issues, order: posted, chosen: Some(address_id), status, ..Again::default() },
        )
        .await;
    }
    match visitor.shop().orders.place(&visitor.ctx_with_key(&key), command).await {
        Ok(order) => {
            visitor.count_units(0);
            pay(&visitor, &order, &key).await
        }
        Err(failure) if failure.is(cart::code::EMPTY) => Ok(visitor.go("/cart")),
        Err(failure) => refused(&visitor, posted, address_id, failure).await,
    }
}

async fn refused(visitor: &Visitor, posted: Posted, address_id: AddressId, failure: Failure) -> Answer {
    // The address may have been removed in another window: the page then chooses another.
    if failure.status() == 404 {
        return Ok(visitor.go("/checkout"));
    }
    let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::CONFLICT);
    let issues = Issues::from_failure(visitor.locale(), failure)?;
    let issues =
        Issues { fields: issues.fields.into_iter().filter(|i| i.field == "remark").collect(), ..issues };
    show(visitor, Again { issues, order: posted, chosen: Some(address_id), status, ..Again::default() }).await
}

/// Opens the payment of an order and goes to pay it. The order stands also where the provider does not answer.
pub(crate) async fn pay(visitor: &Visitor, order: &OrderView, key: &str) -> Answer {
    let shop = visitor.shop();
    let channel = shop.config.payment_channel.clone();
    // Another key than the order's own: one key, one effect.
    let ctx = visitor.ctx_with_key(&format!("{key}-pay"));
    match shop.orders.pay(&ctx, PayOrder { order_id: order.id, channel }).await {
        Ok(payment) if payment.channel == "sandbox" => Ok(visitor.go(&format!("/pay/{}", payment.id))),
        Ok(payment) => {
            let elsewhere = payment.redirect_url.unwrap_or_else(|| format!("/pay/{}", payment.id));
            Ok(visitor.go(&elsewhere))
        }
        Err(failure) => {
            tracing::warn!(order.id = %order.id, error = ?failure, "the payment could not be opened");
            Ok(visitor.go_saying(&format!("/orders/{}", order.id), Flash::PayLater))
        }
    }
}

/// `POST /checkout/choice`: the page with the ticked address, for browsers without scripts.
pub(crate) async fn choose(visitor: Visitor, posted: Posted) -> Answer {
    Ok(visitor.go(&delivering_to(posted.id("address_id")?)))
}

/// `POST /checkout/address`: adds an address and chooses it.
pub(crate) async fn add_address(visitor: Visitor, posted: Posted) -> Answer {
    visitor.member("/checkout")?;
    let command = addresses::read(&posted);
    let mut issues = Issues::of(visitor.locale(), &command);
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if issues.is_empty() {
        match visitor.shop().accounts.add_address(&visitor.ctx(), command).await {
            Ok(address) => return Ok(visitor.go(&delivering_to(address.id))),
            Err(failure) => {
                status = StatusCode::from_u16(failure.status()).unwrap_or(status);
                issues = Issues::from_failure(visitor.locale(), failure)?;
            }
        }
    }
    show(&visitor, Again { issues, address: Some(posted), status, ..Again::default() }).await
}

/// `GET` of a form's target.
pub(crate) async fn back(visitor: Visitor) -> Result<actix_web::HttpResponse, PageError> {
    Ok(visitor.go("/checkout"))
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A page for tests.
    pub(crate) fn page(
        frame: Frame,
        addresses: &[AddressView],
        quote: &QuoteView,
        issues: Issues,
    ) -> CheckoutPage {
        let chosen = addresses.first().map(|address| address.id);
        view(frame, Again { issues, ..Again::default() }, addresses, chosen, Some(quote))
    }
}
