//! What a provider tells, signed as the sandbox's does (Standard Webhooks).

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::payment::{IntentState, PaymentView, ProviderCallback, code};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Result, code as general};
use serde_json::json;
use sha2::Sha256;

use crate::contracts::{
    callers::{nobody, now, refused, usd},
    fixture::Fixture,
};

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A callback that the sandbox's provider could have sent.
fn signed(shop: &Fixture, body: String) -> ProviderCallback {
    let secret = shop.keys.secret("sandbox").expect("the sandbox's key");
    let timestamp = now().seconds();
    let signature = mac(&mac(secret.expose(), "sandbox callback"), &format!("msg_1.{timestamp}.{body}"));
    let header = |name: &str, value: String| (name.to_owned(), value);
    let headers = vec![
        header("webhook-id", "msg_1".to_owned()),
        header("webhook-timestamp", timestamp.to_string()),
        header("webhook-signature", format!("v1,{}", STANDARD.encode(signature))),
    ];
    ProviderCallback { channel: "sandbox".to_owned(), headers, body }
}

fn captured(payment: &PaymentView, reference: &str) -> String {
    let data = json!({
        "number": payment.provider_number, "reference": reference, "state": "captured", "amount": payment.amount,
        "captured": payment.amount, "settled_at": now(), "reason": "贷记 “ok”",
    });
    json!({ "type": "charge.captured", "data": data }).to_string()
}

pub(crate) async fn a_callback_counts_once_however_often_it_comes(shop: &Fixture) -> Result<()> {
    let payments = &shop.contracts.payments;
    let jug = shop.goods("Jug", usd(3_000), 9).await?;
    let shopper = shop.shopper("called-back").await?;
    let order = shop.order(&shopper, vec![jug.line(1)], "called back").await?;
    let payment = shop.pay(&shopper, &order).await?;
    let callback = signed(shop, captured(&payment, &format!("{}-1", payment.number)));
    for _ in 0..2 {
        let answer = payments.callback(&nobody(), callback.clone()).await?;
        assert_eq!(
            (answer.content_type.as_str(), answer.body.as_str()),
            ("application/json", r#"{"received":true}"#)
        );
    }
    let paid = payments.payment(&shopper.ctx, payment.id).await?;
    assert_eq!((paid.state, paid.paid_at.is_some()), (IntentState::Succeeded, true));
    Ok(())
}

pub(crate) async fn callbacks_of_strangers_are_refused(shop: &Fixture) -> Result<()> {
    let payments = &shop.contracts.payments;
    let jar = shop.goods("Stranger's jar", usd(3_000), 9).await?;
    let shopper = shop.shopper("untouched").await?;
    let order = shop.order(&shopper, vec![jar.line(1)], "untouched").await?;
    let payment = shop.pay(&shopper, &order).await?;
    let ours = signed(shop, captured(&payment, &format!("{}-1", payment.number)));
    let call = async |callback| payments.callback(&nobody(), callback).await;
    let changed = ProviderCallback { body: format!("{} ", ours.body), ..ours.clone() };
    refused(call(changed).await, code::SIGNATURE, &[]);
    let unsigned = ProviderCallback { headers: Vec::new(), ..ours.clone() };
    refused(call(unsigned).await, code::SIGNATURE, &[]);
    let elsewhere = ProviderCallback { channel: "cash".to_owned(), ..ours.clone() };
    refused(call(elsewhere).await, general::NOT_FOUND, &[]);
    let large = ProviderCallback { body: "x".repeat((64 << 10) + 1), ..ours };
    refused(call(large).await, general::TOO_LARGE, &[]);
    refused(call(signed(shop, "{}".to_owned())).await, general::MALFORMED, &[]);
    refused(call(signed(shop, captured(&payment, "P1"))).await, general::NOT_FOUND, &[]);
    assert_eq!(payments.payment(&shopper.ctx, payment.id).await?.state, IntentState::Pending);
    Ok(())
}
