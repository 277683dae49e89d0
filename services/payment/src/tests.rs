//! Payments with the sandbox's provider, over HTTP both ways, on a database in a temporary folder.

use std::{sync::Arc, time::Duration};

use contracts::{
    Caller, Ctx, Permission, SessionId, UserId,
    order::OrderId,
    payment::{
        CancelPayments, IntentState, OpenPayment, PaymentView, Payments, ProviderCallback, RefundPayment,
        RefundState, SandboxOutcome, Simulate, code,
    },
};
use kernel::{Clock, Currency, FakeClock, Money, Shard, Timestamp};
use migrations::Migrator;
use platform_db::{Db, DbResult, testing};
use platform_http::{HttpServerConfig, Server};
use platform_runtime::{SecretKey, Tasks};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;

use crate::{
    Channels, PaymentConfig, PaymentService, Places,
    channel::{
        sandbox::callback_signer,
        signature::{ID, SIGNATURE, TIMESTAMP},
    },
    provider::Provider,
    store,
};

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const TEN: Money = Money::new(1_000, Currency::USD);

struct Shop {
    db: Db,
    clock: Arc<FakeClock>,
    payments: Arc<PaymentService>,
    provider: Provider,
    secret: SecretKey,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

/// Looks at what is to come about, 10 ms apart: a minute at least, as a busy machine may want.
const TURNS: usize = 6_000;

impl Shop {
    /// A shop whose provider does not listen yet.
    async fn without_provider() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(START));
        let config = testing::config(folder.path());
        let db = Db::open(&config, clock.clone()).await.unwrap();
        db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
        let mut config = PaymentConfig::default();
        config.sandbox.poll = Duration::from_millis(5);
        // Who is slow is not away.
        config.provider_timeout = Duration::from_secs(60);
        let (places, secret) = (Places::new(&config), SecretKey::random());
        let channels = Channels::new(&config, &places, clock.clone(), &secret).unwrap();
        let payments = PaymentService::new(db.clone(), channels, places.clone(), config.clone()).unwrap();
        let provider = Provider::new(db.clone(), places.clone(), &secret, config).unwrap();
        let server = HttpServerConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            workers: 1,
            ..HttpServerConfig::default()
        };
        let server = Server::new(server, clock.clone())
            .routes([crate::http::routes(Arc::clone(&payments))])
            .bind()
            .unwrap();
        places.shop_is_at(&format!("http://{}", server.address()));
        let tasks = Tasks::new();
        let token = tasks.token();
        tasks.spawn("shop", async move { server.run(token.cancelled()).await.unwrap() });
        Self { db, clock, payments, provider, secret, tasks, _folder: folder }
    }

    async fn new() -> Self {
        let shop = Self::without_provider().await;
        shop.provider.start(&shop.tasks).unwrap();
        shop
    }

    fn system(&self) -> Ctx {
        Ctx::system("test", self.clock.now().plus(Duration::from_secs(60)))
    }

    fn user(&self, id: UserId, permissions: &[Permission], key: Option<&str>) -> Ctx {
        let session = SessionId::derive(id.shard(), &[b"session"]);
        Ctx {
            caller: Caller::User { id, session, permissions: permissions.iter().copied().collect() },
            idempotency_key: key.map(str::to_owned),
            ..self.system()
        }
    }

    fn order(&self, name: &str) -> OpenPayment {
        self.order_on(Shard::new(3), name)
    }

    fn order_on(&self, shard: Shard, name: &str) -> OpenPayment {
        OpenPayment {
            order_id: OrderId::derive(shard, &[name.as_bytes()]),
            order_number: format!("2026-{name}"),
            user_id: shopper(),
            amount: TEN,
            channel: "sandbox".to_owned(),
            expires_at: self.clock.now().plus(Duration::from_secs(1_800)),
        }
    }

    async fn open(&self, name: &str) -> PaymentView {
        self.payments.open(&self.system(), self.order(name)).await.unwrap()
    }

    async fn pay(&self, order: OpenPayment) -> PaymentView {
        let payment = self.payments.open(&self.system(), order).await.unwrap();
        self.simulate(&payment, SandboxOutcome::Succeed).await;
        self.until(&payment, IntentState::Succeeded).await
    }

    async fn simulate(&self, payment: &PaymentView, outcome: SandboxOutcome) {
        let ctx = self.user(shopper(), &[], None);
        self.payments.simulate(&ctx, Simulate { payment_id: payment.id, outcome }).await.unwrap();
    }

    async fn see(&self, payment: &PaymentView) -> PaymentView {
        self.payments.payment(&self.system(), payment.id).await.unwrap()
    }

    async fn until(&self, payment: &PaymentView, state: IntentState) -> PaymentView {
        for _ in 0..TURNS {
            let now = self.see(payment).await;
            if now.state == state {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?} did not become {state:?}", self.see(payment).await);
    }

    async fn paid(&self, name: &str) -> PaymentView {
        self.pay(self.order(name)).await
    }

    async fn count(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.db.read().get_database_backend(), sql);
        let row = self.db.read().query_one_raw(statement).await.db().unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    async fn events(&self, topic: &str) -> i64 {
        self.count(&format!("SELECT COUNT(*) FROM outbox WHERE topic = '{topic}'")).await
    }

    async fn callbacks_made(&self) {
        for _ in 0..TURNS {
            if self.count("SELECT COUNT(*) FROM sandbox_callback").await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("callbacks are still to be made");
    }

    async fn refund(
        &self,
        payment: &PaymentView,
        amount: i64,
        key: &str,
    ) -> kernel::Result<contracts::payment::RefundView> {
        let staff = UserId::derive(Shard::new(1), &[b"staff"]);
        let ctx = self.user(staff, &[Permission::PaymentRefund], Some(key));
        let amount = Some(Money::new(amount, Currency::USD));
        self.payments
            .refund(&ctx, RefundPayment { payment_id: payment.id, amount, reason: "damaged".to_owned() })
            .await
    }

    async fn cancel(&self, name: &str) {
        let order_id = self.order(name).order_id;
        let command = CancelPayments { order_id, reason: "shopper".to_owned() };
        self.payments.cancel_order(&self.system(), command).await.unwrap();
    }

    async fn close(self) {
        assert_eq!(self.tasks.stop(Duration::from_secs(60)).await, 0);
    }
}

fn shopper() -> UserId {
    UserId::derive(Shard::new(3), &[b"shopper"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_captured_once_however_often_the_provider_calls() {
    let shop = Shop::new().await;
    let payment = shop.open("a").await;
    assert_eq!(payment.state, IntentState::Pending);
    assert!(payment.redirect_url.as_ref().unwrap().ends_with(&format!("/pay/{}", payment.id)), "{payment:?}");
    assert_eq!(shop.open("a").await, payment, "asked twice, one payment");
    shop.simulate(&payment, SandboxOutcome::Duplicate).await;
    let paid = shop.until(&payment, IntentState::Succeeded).await;
    assert!(paid.paid_at.is_some() && paid.redirect_url.is_none(), "{paid:?}");
    shop.callbacks_made().await;
    assert_eq!(shop.events("payment.captured.v1").await, 1);
    let again = shop.payments.open(&shop.system(), shop.order("a")).await.unwrap_err();
    assert!(again.is(code::STATE), "{again:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_callback_is_found_by_asking() {
    let shop = Shop::new().await;
    let payment = shop.open("a").await;
    shop.simulate(&payment, SandboxOutcome::Lost).await;
    shop.payments.sync_pending(|| false).await.unwrap();
    assert_eq!(shop.see(&payment).await.state, IntentState::Pending, "it is not asked at once");
    shop.clock.advance(Duration::from_secs(6));
    assert_eq!(shop.payments.sync_pending(|| false).await.unwrap(), "1 asked, 0 without an answer");
    assert_eq!(shop.see(&payment).await.state, IntentState::Succeeded);
    assert_eq!(shop.events("payment.captured.v1").await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_amount_is_a_conflict_that_staff_can_refund() {
    let shop = Shop::new().await;
    let payment = shop.open("a").await;
    shop.simulate(&payment, SandboxOutcome::WrongAmount).await;
    let conflicted = shop.until(&payment, IntentState::Conflicted).await;
    assert_eq!(conflicted.reason.as_deref(), Some("10.01 USD was captured instead of 10.00 USD"));
    assert_eq!(shop.events("payment.conflicted.v1").await, 1);
    assert_eq!(shop.events("payment.captured.v1").await, 0);
    shop.cancel("a").await;
    assert_eq!(shop.see(&payment).await.state, IntentState::Conflicted, "a person decides");
    shop.refund(&payment, 1_001, "k").await.unwrap();
    assert!(shop.refund(&payment, 1, "k2").await.unwrap_err().is(code::REFUND_TOO_LARGE));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_all_wrong_money_went_back_the_right_amount_pays() {
    let shop = Shop::new().await;
    let payment = shop.open("a").await;
    shop.simulate(&payment, SandboxOutcome::WrongAmount).await;
    shop.until(&payment, IntentState::Conflicted).await;
    shop.refund(&payment, 1_000, "k").await.unwrap();
    let refused = shop.payments.open(&shop.system(), shop.order("a")).await.unwrap_err();
    assert!(refused.is(code::STATE), "a cent is still here: {refused:?}");
    shop.refund(&payment, 1, "k2").await.unwrap();
    let again = shop.open("a").await;
    assert_eq!((again.id, again.state), (payment.id, IntentState::Pending));
    assert_eq!(again.refunded.amount, 0, "{again:?}");
    shop.simulate(&again, SandboxOutcome::Succeed).await;
    let paid = shop.until(&payment, IntentState::Succeeded).await;
    assert_eq!(paid.refunded.amount, 0);
    // All of it can be refunded, no more, and the books add up.
    shop.refund(&payment, 1_000, "k3").await.unwrap();
    assert!(shop.refund(&payment, 1, "k4").await.unwrap_err().is(code::REFUND_TOO_LARGE));
    let scope = platform_runtime::Scope { since: None, most: None, ctx: shop.system() };
    let findings = Arc::clone(&shop.payments).audit(scope).await.unwrap();
    assert!(findings.iter().all(|finding| finding.wrong == 0), "{findings:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_refunds_one_payment() {
    let shop = Shop::new().await;
    let (a, b) = (shop.paid("a").await, shop.pay(shop.order_on(Shard::new(4), "b")).await);
    assert_ne!(a.id.shard(), b.id.shard());
    shop.refund(&a, 100, "k").await.unwrap();
    assert!(shop.refund(&b, 100, "k").await.unwrap_err().is(kernel::code::KEY_REUSED));
    assert_eq!(shop.see(&b).await.refunded.amount, 0);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_comes_after_the_end_is_recorded_and_published() {
    let shop = Shop::new().await;
    let (expired, cancelled) = (shop.open("expired").await, shop.open("cancelled").await);
    shop.simulate(&expired, SandboxOutcome::Late).await;
    shop.simulate(&cancelled, SandboxOutcome::Late).await;
    shop.cancel("cancelled").await;
    assert_eq!(shop.see(&cancelled).await.state, IntentState::Cancelled);
    shop.clock.advance(Duration::from_secs(1_800));
    assert_eq!(shop.payments.expire_overdue(|| false).await.unwrap(), "1 expired");
    shop.payments.sync_pending(|| false).await.unwrap();
    assert_eq!(shop.see(&expired).await.state, IntentState::Expired);
    assert_eq!(shop.events("payment.captured.v1").await, 0);
    shop.clock.advance(Duration::from_secs(1));
    shop.until(&expired, IntentState::Succeeded).await;
    shop.until(&cancelled, IntentState::Succeeded).await;
    shop.callbacks_made().await;
    assert_eq!(shop.events("payment.captured.v1").await, 2);
    // The order gives the money back.
    shop.cancel("cancelled").await;
    let refunds = shop.payments.refunds(&shop.system(), cancelled.id).await.unwrap();
    assert_eq!((refunds.len(), refunds[0].amount, refunds[0].state), (1, TEN, RefundState::Succeeded));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_cannot_be_paid_and_what_was_paid_goes_back_once() {
    let shop = Shop::new().await;
    let open = shop.open("open").await;
    shop.cancel("open").await;
    assert_eq!(shop.see(&open).await.state, IntentState::Cancelled);
    assert_eq!(shop.count("SELECT COUNT(*) FROM sandbox_charge WHERE state = 'cancelled'").await, 1);
    let command = Simulate { payment_id: open.id, outcome: SandboxOutcome::Succeed };
    let refused = shop.payments.simulate(&shop.user(shopper(), &[], None), command).await.unwrap_err();
    assert!(refused.is(code::STATE), "{refused:?}");

    let paid = shop.paid("paid").await;
    shop.cancel("paid").await;
    shop.cancel("paid").await;
    assert_eq!(shop.see(&paid).await.refunded, TEN);
    assert_eq!(shop.events("payment.refunded.v1").await, 1);
    assert_eq!(shop.count("SELECT COUNT(*) FROM sandbox_refund").await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_never_exceed_what_was_captured_and_a_key_refunds_once() {
    let shop = Shop::new().await;
    let payment = shop.paid("a").await;
    let keys: Vec<String> = (0..10).map(|n| format!("k{n}")).collect();
    let outcomes = futures::future::join_all(keys.iter().map(|key| shop.refund(&payment, 300, key))).await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(done, 3, "{outcomes:?}");
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(refused.is(code::REFUND_TOO_LARGE), "{refused:?}");
    }
    let winner = outcomes.iter().position(Result::is_ok).unwrap();
    let again = shop.refund(&payment, 300, &keys[winner]).await.unwrap();
    assert_eq!(Some(&again), outcomes[winner].as_ref().ok(), "the same key, the same answer");
    assert!(shop.refund(&payment, 301, &keys[winner]).await.unwrap_err().is(kernel::code::KEY_REUSED));
    assert_eq!(shop.see(&payment).await.refunded.amount, 900);
    assert_eq!(shop.count("SELECT CAST(COALESCE(SUM(amount), 0) AS SIGNED) FROM sandbox_refund").await, 900);
    assert_eq!(shop.events("payment.refunded.v1").await, 3);
    let euros = RefundPayment {
        payment_id: payment.id,
        amount: Some(Money::new(1, Currency::EUR)),
        reason: "x".to_owned(),
    };
    let ctx = shop.user(shopper(), &[Permission::PaymentRefund], Some("e"));
    assert_eq!(shop.payments.refund(&ctx, euros).await.unwrap_err().fields()[0].pointer, "/amount/currency");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_away_is_asked_again() {
    let shop = Shop::without_provider().await;
    let refused = shop.payments.open(&shop.system(), shop.order("a")).await.unwrap_err();
    assert!(refused.is(code::PROVIDER), "{refused:?}");
    shop.provider.start(&shop.tasks).unwrap();
    let payment = shop.open("a").await;
    assert!(payment.provider_number.is_some());
    assert_eq!(shop.count("SELECT COUNT(*) FROM payment_intent").await, 1);
    assert_eq!(shop.count("SELECT COUNT(*) FROM payment_attempt").await, 1);
    shop.close().await;
}

/// Fails when a charge whose request was still on its way, as its payment was cancelled, stays open for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_reaches_the_provider_after_its_cancellation_is_closed() {
    let shop = Shop::without_provider().await;
    let order = shop.order("a");
    let (shard, order_id) = (order.order_id.shard(), order.order_id);
    shop.payments.open(&shop.system(), order).await.unwrap_err();
    shop.provider.start(&shop.tasks).unwrap();
    let payment = shop.payments.of_order(&shop.system(), order_id).await.unwrap().remove(0);
    let number = format!("{}-1", payment.number);
    let asked = store::attempt_by_number(shop.db.read(), shard, &number).await.unwrap().unwrap();
    shop.cancel("a").await;
    assert_eq!(shop.count("SELECT COUNT(*) FROM sandbox_charge").await, 0, "it has never heard of it");
    assert_eq!(shop.count("SELECT COUNT(*) FROM payment_attempt WHERE state = 'cancelled'").await, 1);
    let row = store::intent(shop.db.read(), payment.id).await.unwrap().unwrap();
    let channel = shop.payments.channel("sandbox").unwrap();
    shop.payments.introduce(channel.as_ref(), &row, &asked).await.unwrap();
    assert_eq!(shop.count("SELECT COUNT(*) FROM sandbox_charge WHERE state = 'cancelled'").await, 1);
    assert_eq!(shop.count("SELECT COUNT(*) FROM payment_attempt WHERE state = 'cancelled'").await, 1);
    assert_eq!(shop.see(&payment).await.state, IntentState::Cancelled);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failure_another_attempt_pays_the_same_payment() {
    let shop = Shop::new().await;
    let payment = shop.open("a").await;
    shop.simulate(&payment, SandboxOutcome::Fail).await;
    let failed = shop.until(&payment, IntentState::Failed).await;
    assert_eq!(failed.reason.as_deref(), Some("declined by the payer's bank"));
    let again = shop.open("a").await;
    assert_eq!((again.id, again.state), (payment.id, IntentState::Pending));
    shop.simulate(&again, SandboxOutcome::Succeed).await;
    shop.until(&payment, IntentState::Succeeded).await;
    assert_eq!(shop.count("SELECT COUNT(*) FROM payment_attempt").await, 2);
    assert_eq!(shop.events("payment.captured.v1").await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_provider_can_call_back_and_only_about_what_exists() {
    let shop = Shop::new().await;
    let payment = shop.open("a").await;
    let body = |reference: &str| {
        let amount = r#"{"amount":1000,"currency":"USD"}"#;
        format!(
            r#"{{"type":"charge.captured","data":{{"number":"sbx_1","reference":"{reference}","state":"captured","amount":{amount},"captured":{amount},"settled_at":null,"reason":null}}}}"#
        )
    };
    let call = |body: String, secret: &SecretKey, at: Timestamp| {
        let (timestamp, signature) = callback_signer(secret).sign("msg_1", at, body.as_bytes());
        let headers = [(ID, "msg_1".to_owned()), (TIMESTAMP, timestamp), (SIGNATURE, signature)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        ProviderCallback { channel: "sandbox".to_owned(), headers, body }
    };
    let genuine = body(&format!("{}-1", payment.number));
    for (callback, status) in [
        (call(genuine.clone(), &SecretKey::random(), START), 401),
        (call(genuine.clone(), &shop.secret, START.minus(Duration::from_secs(301))), 401),
        (ProviderCallback { headers: Vec::new(), ..call(genuine.clone(), &shop.secret, START) }, 401),
        (ProviderCallback { channel: "other".to_owned(), ..call(genuine.clone(), &shop.secret, START) }, 404),
        (call(body("P2026112100030000000000-1"), &shop.secret, START), 404),
        (call(body("nonsense"), &shop.secret, START), 404),
        (call("{}".to_owned(), &shop.secret, START), 400),
    ] {
        let refused = shop.payments.callback(&shop.system(), callback).await.unwrap_err();
        assert_eq!(refused.status(), status, "{refused:?}");
    }
    assert_eq!(shop.see(&payment).await.state, IntentState::Pending);
    // The signature is right, but the provider's number is another one than it gave us.
    let answer = shop.payments.callback(&shop.system(), call(genuine, &shop.secret, START)).await.unwrap();
    assert_eq!(answer.body, r#"{"received":true}"#);
    assert_eq!(shop.see(&payment).await.state, IntentState::Conflicted);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_of_others_are_not_there() {
    let shop = Shop::new().await;
    let payment = shop.open("a").await;
    let other = shop.user(UserId::derive(Shard::new(3), &[b"other"]), &[], None);
    assert_eq!(shop.payments.payment(&other, payment.id).await.unwrap_err().status(), 404);
    assert_eq!(shop.payments.refunds(&other, payment.id).await.unwrap_err().status(), 404);
    assert!(shop.payments.of_order(&other, payment.order_id).await.unwrap().is_empty());
    let command = Simulate { payment_id: payment.id, outcome: SandboxOutcome::Succeed };
    assert_eq!(shop.payments.simulate(&other, command).await.unwrap_err().status(), 404);
    assert_eq!(shop.payments.open(&other, shop.order("b")).await.unwrap_err().status(), 403);
    assert_eq!(shop.payments.payments(&other, Default::default()).await.unwrap_err().status(), 403);
    assert_eq!(shop.payments.payments(&shop.system(), Default::default()).await.unwrap().items.len(), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paid_twice_goes_back_without_the_order() {
    let shop = Shop::new().await;
    let payment = shop.paid("a").await;
    // A second attempt of the same payment that the provider captured, too.
    let first =
        store::attempt_by_number(shop.db.read(), payment.id.shard(), &format!("{}-1", payment.number)).await;
    let second = store::entity::attempt::Model {
        id: shop.db.ids().uuid(payment.id.shard()),
        number: format!("{}-2", payment.number),
        state: "pending".to_owned(),
        provider_number: None,
        ..first.unwrap().unwrap()
    };
    let shard = payment.id.shard();
    shop.db.append(shard, platform_db::Rows::new().row(second.clone())).await.unwrap();
    let row = store::intent(shop.db.read(), payment.id).await.unwrap().unwrap();
    let channel = shop.payments.channel("sandbox").unwrap();
    shop.payments.introduce(channel.as_ref(), &row, &second).await.unwrap();
    shop.payments
        .channels
        .sandbox()
        .unwrap()
        .simulate(&second.number, SandboxOutcome::Succeed)
        .await
        .unwrap();
    shop.callbacks_made().await;
    assert_eq!(shop.count("SELECT COUNT(*) FROM refund WHERE surplus").await, 1);
    shop.payments.drive_refunds(|| false).await.unwrap();
    assert_eq!(shop.count("SELECT COUNT(*) FROM refund WHERE state = 'succeeded'").await, 1);
    assert_eq!(shop.events("payment.captured.v1").await, 1);
    assert_eq!(shop.events("payment.refunded.v1").await, 0);
    assert_eq!(shop.see(&payment).await.refunded.amount, 0);
    shop.close().await;
}
