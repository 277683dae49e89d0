//! `/orders`: one's orders. `/orders/{id}`: one of them, and what can be done with it.

use actix_web::{http::StatusCode, web::Path};
use askama::Template;
use contracts::order::{CancelOrder, ListOrders, OrderHistoryView, OrderId, OrderState, OrderView};
use garde::Validate;
use kernel::{Failure, Timestamp, code};

use crate::{
    error::{Answer, PageError},
    flash::Flash,
    format,
    forms::{Field, Issues, Posted},
    frame::Frame,
    link,
    locale::Locale,
    pages::{addresses, checkout},
    quote::{PricedRow, Sums},
    states, token,
    visitor::Visitor,
};

/// Orders on a page.
const PAGE: u32 = 10;

/// States one can filter by.
const FILTERS: [OrderState; 5] = [
    OrderState::PendingPayment,
    OrderState::Paid,
    OrderState::Shipped,
    OrderState::Completed,
    OrderState::Cancelled,
];

/// A filter of the list.
pub(crate) struct Filter {
    pub(crate) label: String,
    pub(crate) href: String,
    pub(crate) current: bool,
}

/// An order in the list.
pub(crate) struct OrderRow {
    pub(crate) id: OrderId,
    pub(crate) number: String,
    pub(crate) placed_at: Timestamp,
    pub(crate) state: String,
    pub(crate) tone: &'static str,
    pub(crate) total: String,
    pub(crate) what: String,
    pub(crate) images: Vec<String>,
}

#[derive(Template)]
#[template(path = "orders.html")]
pub(crate) struct OrdersPage {
    pub(crate) page: Frame,
    pub(crate) filters: Vec<Filter>,
    pub(crate) rows: Vec<OrderRow>,
    pub(crate) next: Option<String>,
    pub(crate) first: Option<String>,
}

/// A step of the way an order goes.
pub(crate) struct Milestone {
    pub(crate) label: String,
    pub(crate) at: Option<Timestamp>,
    pub(crate) done: bool,
    pub(crate) current: bool,
}

/// A line of the history.
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) what: String,
    pub(crate) actor: String,
    pub(crate) reason: String,
}

#[derive(Template)]
#[template(path = "order.html")]
pub(crate) struct OrderPage {
    pub(crate) page: Frame,
    pub(crate) issues: Issues,
    pub(crate) id: OrderId,
    pub(crate) number: String,
    pub(crate) placed_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) state: String,
    pub(crate) tone: &'static str,
    pub(crate) payment_state: String,
    pub(crate) fulfilment_state: String,
    pub(crate) payment_number: Option<String>,
    pub(crate) cancelled_because: Option<String>,
    pub(crate) milestones: Vec<Milestone>,
    pub(crate) history: Vec<Event>,
    pub(crate) rows: Vec<PricedRow>,
    pub(crate) sums: Sums,
    pub(crate) recipient: String,
    pub(crate) address: Vec<String>,
    pub(crate) remark: Option<String>,
    pub(crate) can_pay: bool,
    pub(crate) can_cancel: bool,
    pub(crate) key: String,
    pub(crate) reason: Field,
}

/// `GET /orders?state=&cursor=`.
pub(crate) async fn orders(visitor: Visitor) -> Answer {
    visitor.member(&visitor.here())?;
    let state = states::parse(visitor.param("state"));
    let cursor = visitor.param("cursor");
    let command =
        ListOrders { state, cursor: Some(cursor.to_owned()).filter(|c| !c.is_empty()), limit: Some(PAGE) };
    command.validate().map_err(|report| Failure::new(code::INVALID).detail(report.to_string()))?;
    let found = visitor.shop().orders.orders(&visitor.ctx(), command).await?;
    let locale = visitor.locale();
    let name = state.map(states::name).unwrap_or_default();
    let at = |cursor: &str| link::with_params("/orders", [("state", name), ("cursor", cursor)]);
    let page = OrdersPage {
        page: visitor.frame(visitor.text("orders-title")),
        filters: filters(locale, state),
        next: found.next_cursor.as_deref().map(at),
        first: (!cursor.is_empty()).then(|| at("")),
        rows: found.items.iter().map(|order| row(locale, order)).collect(),
    };
    visitor.show(StatusCode::OK, &page)
}

fn filters(locale: Locale, current: Option<OrderState>) -> Vec<Filter> {
    let all =
        Filter { label: locale.text("orders-all"), href: "/orders".to_owned(), current: current.is_none() };
    let one = |state: OrderState| Filter {
        label: locale.text(states::order_key(state)),
        href: link::with_params("/orders", [("state", states::name(state))]),
        current: current == Some(state),
    };
    std::iter::once(all).chain(FILTERS.into_iter().map(one)).collect()
}

/// An order of the list.
pub(crate) fn row(locale: Locale, order: &OrderView) -> OrderRow {
    let units: i64 = order.lines.iter().map(|line| line.quantity).sum();
    let first = order.lines.first().map(|line| line.title.clone()).unwrap_or_default();
    OrderRow {
        id: order.id,
        number: order.number.clone(),
        placed_at: order.placed_at,
        state: locale.text(states::order_key(order.state)),
        tone: states::tone(order.state),
        total: format::money(locale, order.totals.total),
        what: format!("{first} ({})", locale.counted("units", units)),
        images: order.lines.iter().filter_map(|line| line.image.clone()).take(4).collect(),
    }
}

/// `GET /orders/{id}`.
pub(crate) async fn order(visitor: Visitor, id: Path<String>) -> Answer {
    visitor.member(&visitor.here())?;
    let id: OrderId = id.parse().map_err(|_| PageError::not_found())?;
    show(&visitor, StatusCode::OK, id, Posted::default(), Issues::default()).await
}

async fn show(visitor: &Visitor, status: StatusCode, id: OrderId, posted: Posted, issues: Issues) -> Answer {
    let orders = &visitor.shop().orders;
    let ctx = visitor.ctx();
    let (order, history) = futures::try_join!(orders.order(&ctx, id), orders.history(&ctx, id))?;
    let title = visitor.locale().text_with("order-title", "number", &order.number);
    let frame = visitor.frame(title).at(format!("/orders/{id}"));
    visitor.show(status, &view(frame, &order, &history, &posted, issues))
}

/// The page of an order.
pub(crate) fn view(
    page: Frame,
    order: &OrderView,
    history: &[OrderHistoryView],
    posted: &Posted,
    issues: Issues,
) -> OrderPage {
    let locale = page.locale;
    OrderPage {
        id: order.id,
        number: order.number.clone(),
        placed_at: order.placed_at,
        expires_at: order.expires_at,
        state: locale.text(states::order_key(order.state)),
        tone: states::tone(order.state),
        payment_state: locale.text(states::payment_key(order.payment_state)),
        fulfilment_state: locale.text(states::fulfilment_key(order.fulfilment_state)),
        payment_number: order.payment_number.clone(),
        cancelled_because: order.cancel_reason.as_deref().map(|reason| reason_text(locale, reason)),
        milestones: milestones(locale, order, history),
        history: history.iter().map(|step| event(locale, step)).collect(),
        rows: order.lines.iter().map(|line| PricedRow::ordered(locale, line)).collect(),
        sums: Sums::new(locale, &order.totals),
        recipient: order.address.recipient.clone(),
        address: addresses::lines(locale, &order.address),
        remark: order.remark.clone(),
        can_pay: order.state == OrderState::PendingPayment,
        can_cancel: matches!(
            order.state,
            OrderState::PendingPayment | OrderState::Paid | OrderState::Allocated
        ),
        key: token::random(),
        reason: Field::new(locale, "reason").optional().longest(500).filled(posted, &issues),
        page,
        issues,
    }
}

/// The way of an order that goes well; of one that does not, as far as it came.
fn milestones(locale: Locale, order: &OrderView, history: &[OrderHistoryView]) -> Vec<Milestone> {
    let reached =
        |states: &[OrderState]| history.iter().find(|step| states.contains(&step.to)).map(|step| step.at);
    let mut steps: Vec<(&str, Option<Timestamp>)> = vec![
        ("milestone-placed", Some(order.placed_at)),
        ("milestone-paid", order.paid_at.or_else(|| reached(&[OrderState::Paid]))),
        ("milestone-shipped", reached(&[OrderState::Shipped, OrderState::PartlyShipped])),
        ("milestone-delivered", reached(&[OrderState::Delivered, OrderState::Completed])),
    ];
    if let Some(cancelled_at) = order.cancelled_at {
        steps.retain(|(_, at)| at.is_some());
        steps.push(("milestone-cancelled", Some(cancelled_at)));
    }
    let last = steps.iter().rposition(|(_, at)| at.is_some());
    steps
        .into_iter()
        .enumerate()
        .map(|(index, (key, at))| Milestone {
            label: locale.text(key),
            at,
            done: at.is_some(),
            current: Some(index) == last,
        })
        .collect()
}

fn event(locale: Locale, step: &OrderHistoryView) -> Event {
    let actor_key = format!("actor-{}", step.actor);
    Event {
        at: step.at,
        what: locale.text(states::order_key(step.to)),
        actor: locale.find(&actor_key).unwrap_or_else(|| step.actor.clone()),
        reason: reason_text(locale, &step.reason),
    }
}

/// A reason the shop gave, in words of the language; one a person wrote, as written. The key is the reason with `-` for
/// everything that is no letter.
fn reason_text(locale: Locale, reason: &str) -> String {
    let words = reason.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let key = words.fold("reason".to_owned(), |key, word| format!("{key}-{}", word.to_ascii_lowercase()));
    let known = (reason.len() <= 80).then(|| locale.find(&key)).flatten();
    known.unwrap_or_else(|| reason.to_owned())
}

/// `POST /orders/{id}/cancel`.
pub(crate) async fn cancel(visitor: Visitor, id: Path<String>, posted: Posted) -> Answer {
    let order_id: OrderId = id.parse().map_err(|_| PageError::not_found())?;
    visitor.member(&format!("/orders/{order_id}"))?;
    let reason = posted.optional("reason");
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > 500) {
        let mut issues = Issues::default();
        issues.add(visitor.locale(), "reason", "at most 500 characters");
        return show(&visitor, StatusCode::UNPROCESSABLE_ENTITY, order_id, posted, issues).await;
    }
    match visitor.shop().orders.cancel(&visitor.ctx(), CancelOrder { order_id, reason }).await {
        Ok(_) => Ok(visitor.go_saying(&format!("/orders/{order_id}"), Flash::OrderCancelled)),
        Err(failure) => refused(&visitor, order_id, posted, failure).await,
    }
}

/// `POST /orders/{id}/pay`: opens its payment, or the one that is open.
pub(crate) async fn pay(visitor: Visitor, id: Path<String>, posted: Posted) -> Answer {
    let order_id: OrderId = id.parse().map_err(|_| PageError::not_found())?;
    visitor.member(&format!("/orders/{order_id}"))?;
    let key = posted.key()?;
    let order = visitor.shop().orders.order(&visitor.ctx(), order_id).await?;
    if order.state != OrderState::PendingPayment {
        return Ok(visitor.go(&format!("/orders/{order_id}")));
    }
    checkout::pay(&visitor, &order, key).await
}

async fn refused(visitor: &Visitor, id: OrderId, posted: Posted, failure: Failure) -> Answer {
    let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::CONFLICT);
    let issues = Issues::from_failure(visitor.locale(), failure)?;
    show(visitor, status, id, posted, issues).await
}

/// `GET` of a form's target.
pub(crate) async fn back(visitor: Visitor, id: Path<String>) -> Answer {
    let id: OrderId = id.parse().map_err(|_| PageError::not_found())?;
    Ok(visitor.go(&format!("/orders/{id}")))
}
