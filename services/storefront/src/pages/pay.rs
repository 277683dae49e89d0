//! `/pay/{id}`: where a payment stands, and the sandbox's buttons.

use actix_web::{http::StatusCode, web::Path};
use askama::Template;
use contracts::{
    order::{OrderId, OrderView},
    payment::{IntentState, PaymentId, PaymentView, Simulate, code},
};

use crate::{
    error::{Answer, PageError},
    format,
    forms::{Issues, Posted},
    frame::Frame,
    link,
    quote::{PricedRow, Sums},
    states, token,
    visitor::Visitor,
};

/// Seconds between two looks of a browser without scripts.
const REFRESH: u32 = 3;

/// Where a payment stands; the part of the page that is loaded again.
pub(crate) struct Standing {
    pub(crate) id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) text: String,
    pub(crate) explained: String,
    pub(crate) tone: &'static str,
    /// Whether more may happen.
    pub(crate) open: bool,
    /// Whether the sandbox was told what to do, and its answer is awaited.
    pub(crate) waiting: bool,
}

#[derive(Template)]
#[template(path = "pay.html")]
pub(crate) struct PayPage {
    pub(crate) page: Frame,
    pub(crate) issues: Issues,
    pub(crate) standing: Standing,
    pub(crate) number: String,
    pub(crate) order_number: String,
    pub(crate) amount: String,
    pub(crate) expires_at: kernel::Timestamp,
    pub(crate) rows: Vec<PricedRow>,
    pub(crate) sums: Sums,
    /// Succeed and fail; empty where there is nothing to press.
    pub(crate) buttons: Vec<(&'static str, String)>,
    /// What goes wrong in the real world.
    pub(crate) more_buttons: Vec<(&'static str, String)>,
    pub(crate) pay_again: bool,
    pub(crate) key: String,
}

#[derive(Template)]
#[template(path = "pay_state.html")]
pub(crate) struct StandingPart {
    pub(crate) page: Frame,
    pub(crate) standing: Standing,
}

fn standing(page: &Frame, payment: &PaymentView, waiting: bool) -> Standing {
    let key = states::intent_key(payment.state);
    Standing {
        id: payment.id,
        order_id: payment.order_id,
        text: page.t(key),
        explained: page.t(&format!("{key}-explained")),
        tone: match payment.state {
            IntentState::Pending => "wait",
            IntentState::Succeeded => "good",
            IntentState::Failed | IntentState::Conflicted => "bad",
            IntentState::Cancelled | IntentState::Expired => "over",
        },
        open: payment.state == IntentState::Pending,
        waiting: waiting && payment.state == IntentState::Pending,
    }
}

/// `GET /pay/{id}`; `?waiting=1` after a button was pressed.
pub(crate) async fn pay(visitor: Visitor, id: Path<String>) -> Answer {
    let id = member_and_id(&visitor, &id)?;
    show(&visitor, StatusCode::OK, id, Issues::default()).await
}

fn member_and_id(visitor: &Visitor, id: &str) -> Answer<PaymentId> {
    let id: PaymentId = id.parse().map_err(|_| PageError::not_found())?;
    visitor.member(&format!("/pay/{id}"))?;
    Ok(id)
}

async fn show(visitor: &Visitor, status: StatusCode, id: PaymentId, issues: Issues) -> Answer {
    let shop = visitor.shop();
    let ctx = visitor.ctx();
    let payment = shop.payments.payment(&ctx, id).await?;
    let order = shop.orders.order(&ctx, payment.order_id).await?;
    let waiting = visitor.param("waiting") == "1";
    let mut frame = visitor.frame(visitor.text("pay-title")).at(format!("/pay/{id}"));
    if waiting && payment.state == IntentState::Pending {
        frame = frame.refreshing(REFRESH);
    }
    let buttons = shop.config.sandbox_buttons && payment.channel == "sandbox";
    visitor.show(status, &view(frame, &payment, &order, waiting, buttons, issues))
}

/// The page of a payment.
pub(crate) fn view(
    page: Frame,
    payment: &PaymentView,
    order: &OrderView,
    waiting: bool,
    sandbox: bool,
    issues: Issues,
) -> PayPage {
    let locale = page.locale;
    let standing = standing(&page, payment, waiting);
    let press = |range: &[(contracts::payment::SandboxOutcome, &'static str, &str)]| {
        range.iter().map(|(_, name, key)| (*name, locale.text(key))).collect::<Vec<_>>()
    };
    let pressable = sandbox && payment.state == IntentState::Pending && !standing.waiting;
    let (usual, unusual) = states::OUTCOMES.split_at(2);
    PayPage {
        number: payment.number.clone(),
        order_number: order.number.clone(),
        amount: format::money(locale, payment.amount),
        expires_at: payment.expires_at,
        rows: order.lines.iter().map(|line| PricedRow::ordered(locale, line)).collect(),
        sums: Sums::new(locale, &order.totals),
        buttons: if pressable { press(usual) } else { Vec::new() },
        more_buttons: if pressable { press(unusual) } else { Vec::new() },
        pay_again: payment.state == IntentState::Failed,
        key: token::random(),
        standing,
        page,
        issues,
    }
}

/// `GET /pay/{id}/state`: the part that scripts load every two seconds.
pub(crate) async fn state(visitor: Visitor, id: Path<String>) -> Answer {
    let id = member_and_id(&visitor, &id)?;
    let payment = visitor.shop().payments.payment(&visitor.ctx(), id).await?;
    let page = visitor.frame("");
    let standing = standing(&page, &payment, visitor.param("waiting") == "1");
    visitor.show(StatusCode::OK, &StandingPart { page, standing })
}

/// `POST /pay/{id}/sandbox`: tells the sandbox's provider what to do. It calls back by itself; the page waits for that.
pub(crate) async fn simulate(visitor: Visitor, id: Path<String>, posted: Posted) -> Answer {
    let payment_id = member_and_id(&visitor, &id)?;
    let outcome = states::OUTCOMES.iter().find(|(_, name, _)| *name == posted.raw("outcome"));
    let Some((outcome, ..)) = outcome else {
        return Ok(visitor.go(&format!("/pay/{payment_id}")));
    };
    let command = Simulate { payment_id, outcome: *outcome };
    match visitor.shop().payments.simulate(&visitor.ctx(), command).await {
        Ok(()) => Ok(visitor.go(&link::with_params(&format!("/pay/{payment_id}"), [("waiting", "1")]))),
        // Paid or ended meanwhile: the page shows how.
        Err(failure) if failure.is(code::STATE) => Ok(visitor.go(&format!("/pay/{payment_id}"))),
        Err(failure) => {
            let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::CONFLICT);
            let issues = Issues::from_failure(visitor.locale(), failure)?;
            show(&visitor, status, payment_id, issues).await
        }
    }
}

/// `GET` of a form's target.
pub(crate) async fn back(visitor: Visitor, id: Path<String>) -> Answer {
    let id = member_and_id(&visitor, &id)?;
    Ok(visitor.go(&format!("/pay/{id}")))
}
