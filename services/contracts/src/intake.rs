//! Taking in what another shop had, and giving it back: the door a domain has for a migration.
//!
//! A row's id follows from its source and its key there, so that taking it in twice is one effect. The domain notes each row
//! that it took in beside the row itself, in the same transaction: which source and key, a digest of all that the source
//! said, and one of what it kept of it. From these it tells a row that changed in the source from one that has lived here.
//!
//! Only Meridian itself calls these: the command that migrates, which runs the whole shop in its own process. There is no
//! HTTP form.

use async_trait::async_trait;
use kernel::{Failure, Money, Result, Timestamp, code};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    Caller, Ctx, UserId,
    account::{AddressId, AddressInput},
    catalog::{CategoryId, ImageInput, NamedValue, ProductId, SkuId},
    order::{FulfilmentState, OrderId, OrderLineView, OrderState, PaymentState},
    payment::{AttemptId, IntentState, PaymentId, RefundId, RefundState},
    pricing::Totals,
};

/// SHA-256 over the canonical JSON of a value.
pub type Digest = [u8; 32];

/// The digest of `value`: its fields in the order they are declared, as JSON.
pub fn digest(value: &impl Serialize) -> Result<Digest> {
    let text = serde_json::to_vec(value).map_err(Failure::internal)?;
    Ok(Sha256::digest(&text).into())
}

/// A row that is taken in.
pub trait Row: Serialize + Clone + Send + Sync + 'static {
    /// Its id here.
    fn id(&self) -> Uuid;
    /// Its key in the source.
    fn key(&self) -> &str;
    /// The digest of what can be read back.
    fn kept(&self) -> Result<Digest>;
    /// The digest of all that the source said.
    fn said(&self) -> Result<Digest> {
        digest(self)
    }
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenIn {
    /// It is new.
    Created,
    /// The source says something else than last time; it says it here now.
    Updated,
    /// The source says what it said last time.
    Unchanged,
    /// The source says something else than last time, but the row was changed here since, and stays as it is.
    ChangedHere,
    /// It is not in, and why.
    Refused(String),
}

/// A row that was taken in, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What the source had said of it.
    pub said: Digest,
    /// Of what can be read back now.
    pub now: Digest,
    /// Whether it has lived: it is not what it was taken in as, or somebody used it.
    pub lived: bool,
}

/// A row to be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Its id here.
    pub id: Uuid,
    /// Its key in the source.
    pub key: String,
}

/// What became of a row that was to be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenBack {
    /// It is gone.
    Removed,
    /// It stays, and why.
    Kept(String),
}

/// What a domain does with a source's rows.
#[async_trait]
pub trait Intake<R: Row>: Send + Sync {
    /// Takes rows in, all in one transaction, with the notes about them. One that is refused does not stop the others.
    async fn take_in(&self, ctx: &Ctx, source: &str, rows: Vec<R>) -> Result<Vec<TakenIn>>;
    /// These rows as they are now, in the order asked; none where nothing was taken in.
    async fn kept(&self, ctx: &Ctx, ids: &[Uuid]) -> Result<Vec<Option<Kept>>>;
    /// What was taken in from `source`, by id, after `after`.
    async fn brought(&self, ctx: &Ctx, source: &str, after: Option<Uuid>, limit: u64)
    -> Result<Vec<Brought>>;
    /// How many rows were taken in from `source`.
    async fn count(&self, ctx: &Ctx, source: &str) -> Result<u64>;
    /// Removes rows that were taken in, all in one transaction; those that have lived only where `lived_too`.
    async fn give_back(&self, ctx: &Ctx, ids: &[Uuid], lived_too: bool) -> Result<Vec<GivenBack>>;
}

/// Removes what a domain keeps of SKUs that go away.
#[async_trait]
pub trait ForgetSkus: Send + Sync {
    /// Those of these SKUs that people have done something with beyond what Meridian itself did.
    async fn lived(&self, ctx: &Ctx, skus: &[SkuId]) -> Result<Vec<SkuId>>;
    /// Removes everything of these SKUs.
    async fn forget_skus(&self, ctx: &Ctx, skus: &[SkuId]) -> Result<()>;
}

/// `auth.forbidden` for everybody but Meridian itself.
pub fn system_only(ctx: &Ctx) -> Result<()> {
    match ctx.caller {
        Caller::System => Ok(()),
        Caller::User { .. } => Err(Failure::new(code::FORBIDDEN)),
        Caller::Anonymous => Err(Failure::new(code::UNAUTHENTICATED)),
    }
}

/// The intakes of all domains.
#[derive(Clone)]
pub struct Intakes {
    /// Of accounts.
    pub users: std::sync::Arc<dyn Intake<TakeUser>>,
    /// Of the catalog.
    pub products: std::sync::Arc<dyn Intake<TakeProduct>>,
    /// Of orders.
    pub orders: std::sync::Arc<dyn Intake<TakeOrder>>,
    /// Of payments.
    pub payments: std::sync::Arc<dyn Intake<TakePayment>>,
    /// Of pricing: prices of SKUs that go away.
    pub prices: std::sync::Arc<dyn ForgetSkus>,
    /// Of inventory: stock of SKUs that go away.
    pub stock: std::sync::Arc<dyn ForgetSkus>,
}

/// A user of another shop.
#[derive(Clone, Debug, Serialize)]
pub struct TakeUser {
    /// Key in the source.
    pub key: String,
    /// What is read back.
    pub facts: UserFacts,
    /// A bcrypt or argon2id hash; none where the password cannot be checked here: then nobody can log in with one.
    pub password_hash: Option<String>,
}

/// What is read back of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserFacts {
    /// Id here.
    pub id: UserId,
    /// E-mail.
    pub email: String,
    /// Name.
    pub name: String,
    /// Phone in E.164.
    pub phone: Option<String>,
    /// `en` or `zh-CN`.
    pub locale: String,
    /// When the account was opened.
    pub created_at: Timestamp,
    /// The address book by id; one is the default.
    pub addresses: Vec<(AddressId, AddressInput)>,
}

impl Row for TakeUser {
    fn id(&self) -> Uuid {
        self.facts.id.uuid()
    }
    fn key(&self) -> &str {
        &self.key
    }
    fn kept(&self) -> Result<Digest> {
        digest(&self.facts)
    }
}

/// A product of another shop.
#[derive(Clone, Debug, Serialize)]
pub struct TakeProduct {
    /// Key in the source.
    pub key: String,
    /// What is read back.
    pub facts: ProductFacts,
    /// HTML; sanitised.
    pub description: String,
    /// Brand by name; it exists.
    pub brand: Option<String>,
    /// Main category.
    pub category_id: Option<CategoryId>,
    /// Images in order.
    pub images: Vec<ImageInput>,
}

/// What is read back of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProductFacts {
    /// Id here.
    pub id: ProductId,
    /// Name in URLs.
    pub slug: String,
    /// Title.
    pub title: String,
    /// Whether it is on the shelf.
    pub published: bool,
    /// SKUs in order.
    pub skus: Vec<SkuFacts>,
}

/// What is read back of a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkuFacts {
    /// Id here.
    pub id: SkuId,
    /// Unique code.
    pub code: String,
    /// A value for each option.
    pub options: Vec<NamedValue>,
    /// Barcode.
    pub barcode: Option<String>,
    /// Weight in grams.
    pub weight_grams: i64,
}

impl Row for TakeProduct {
    fn id(&self) -> Uuid {
        self.facts.id.uuid()
    }
    fn key(&self) -> &str {
        &self.key
    }
    fn kept(&self) -> Result<Digest> {
        digest(&self.facts)
    }
}

/// An order of another shop: a fact of the past. It moves no stock and no money, and no event tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct TakeOrder {
    /// Key in the source.
    pub key: String,
    /// What is read back.
    pub facts: OrderFacts,
    /// How it came to where it stands, oldest first; the first is its placing, the last its present state.
    pub steps: Vec<(OrderState, Timestamp)>,
}

/// What is read back of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderFacts {
    /// Id here, on its user's shard.
    pub id: OrderId,
    /// Whose.
    pub user_id: UserId,
    /// Its number in the source, which people know; at most 64 characters.
    pub number: String,
    /// Where it stands.
    pub state: OrderState,
    /// Where its payment stands.
    pub payment_state: PaymentState,
    /// Where its goods are.
    pub fulfilment_state: FulfilmentState,
    /// Lines.
    pub lines: Vec<OrderLineView>,
    /// What it comes to: lines, discount, shipping and tax add up.
    pub totals: Totals,
    /// Minor units that went back.
    pub refunded: i64,
    /// Where it went.
    pub address: AddressInput,
    /// To the merchant.
    pub remark: Option<String>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// The payment that paid it.
    pub payment_id: Option<PaymentId>,
    /// That payment's number.
    pub payment_number: Option<String>,
}

impl Row for TakeOrder {
    fn id(&self) -> Uuid {
        self.facts.id.uuid()
    }
    fn key(&self) -> &str {
        &self.key
    }
    fn kept(&self) -> Result<Digest> {
        digest(&self.facts)
    }
}

/// The payment of an order of another shop, with all attempts and refunds. Facts of the past: no provider is asked.
#[derive(Clone, Debug, Serialize)]
pub struct TakePayment {
    /// The order's key in the source.
    pub key: String,
    /// What is read back.
    pub facts: PaymentFacts,
}

/// What is read back of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PaymentFacts {
    /// Id here, on its order's shard.
    pub id: PaymentId,
    /// Of which order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// Who paid.
    pub user_id: UserId,
    /// `<source>:<channel there>`.
    pub channel: String,
    /// `succeeded`, or `cancelled` where no attempt paid.
    pub state: IntentState,
    /// What was to be paid.
    pub amount: Money,
    /// By number; at least one. The one that paid, or else the latest, speaks for the payment.
    pub attempts: Vec<AttemptFacts>,
    /// By id, of the attempt that paid.
    pub refunds: Vec<RefundFacts>,
}

/// What is read back of an attempt to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptFacts {
    /// Id here.
    pub id: AttemptId,
    /// Its number in the source.
    pub number: String,
    /// Channel.
    pub channel: String,
    /// Where it stands; never pending.
    pub state: IntentState,
    /// How much.
    pub amount: Money,
    /// The provider's number.
    pub provider_number: Option<String>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
}

/// What is read back of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefundFacts {
    /// Id here.
    pub id: RefundId,
    /// How much.
    pub amount: Money,
    /// Succeeded or failed.
    pub state: RefundState,
    /// Why.
    pub reason: String,
    /// The provider's number.
    pub provider_number: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
}

impl PaymentFacts {
    /// The attempt that speaks for the payment: the one that paid, or else the latest.
    pub fn speaker(&self) -> Option<&AttemptFacts> {
        let paid = self.attempts.iter().find(|attempt| attempt.state == IntentState::Succeeded);
        paid.or_else(|| self.attempts.iter().max_by_key(|attempt| (attempt.created_at, attempt.id)))
    }
}

impl Row for TakePayment {
    fn id(&self) -> Uuid {
        self.facts.id.uuid()
    }
    fn key(&self) -> &str {
        &self.key
    }
    fn kept(&self) -> Result<Digest> {
        digest(&self.facts)
    }
}

/// What a domain should do about a row, by what it noted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was noted: insert it.
    Create,
    /// Put it in the place of what is there.
    Replace,
    /// Leave it.
    Same,
    /// It has lived: leave it, and say so.
    ChangedHere,
}

/// Judges a row that says `said`. `noted` is what was said and kept last time; `now` the digest of what is there, none where
/// the row is gone.
pub fn judge(noted: Option<(Digest, Digest)>, said: Digest, now: Option<Digest>) -> Verdict {
    match noted {
        None => Verdict::Create,
        Some((before, _)) if before == said => Verdict::Same,
        Some((_, kept)) if now == Some(kept) => Verdict::Replace,
        Some(_) => Verdict::ChangedHere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_lived_is_left_alone() {
        let (a, b, c) = ([1; 32], [2; 32], [3; 32]);
        assert_eq!(judge(None, a, None), Verdict::Create);
        assert_eq!(judge(Some((a, b)), a, Some(c)), Verdict::Same, "the source did not change");
        assert_eq!(judge(Some((a, b)), c, Some(b)), Verdict::Replace);
        assert_eq!(judge(Some((a, b)), c, Some(a)), Verdict::ChangedHere);
        assert_eq!(judge(Some((a, b)), c, None), Verdict::ChangedHere, "it was removed here");
    }
}
