//! What most cases need: products to buy, shoppers with an address, orders.

use contracts::{
    Ctx,
    account::{AccountView, AddressId, AddressInput, Register},
    catalog::{
        MoveProduct, NamedValue, ProductAction, ProductId, ProductInput, ProductRecord, SkuId, SkuInput,
    },
    inventory::InitialStock,
    order::{OrderState, OrderView, PayOrder, PlaceOrder},
    payment::{PaymentView, SandboxOutcome, Simulate},
    pricing::{LineInput, PriceKind, SetPrice},
};
use kernel::{Money, Result};

use super::{
    callers::{keyed, nobody, system, until, user},
    fixture::Fixture,
};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A member with an address in California.
pub(crate) struct Shopper {
    pub(crate) ctx: Ctx,
    pub(crate) address: AddressId,
}

/// A product on the shelf with its only SKU.
#[derive(Clone, Copy)]
pub(crate) struct Goods {
    pub(crate) product: ProductId,
    pub(crate) sku: SkuId,
}

impl Goods {
    pub(crate) fn line(self, quantity: i64) -> LineInput {
        LineInput { sku_id: self.sku, quantity }
    }
}

pub(crate) fn named(name: &str, value: &str) -> NamedValue {
    NamedValue { name: name.to_owned(), value: value.to_owned() }
}

pub(crate) fn sku(code: Option<&str>, options: &[(&str, &str)]) -> SkuInput {
    SkuInput {
        code: code.map(str::to_owned),
        options: options.iter().map(|(name, value)| named(name, value)).collect(),
        barcode: None,
        weight_grams: 0,
    }
}

/// A product of one SKU.
pub(crate) fn product(title: &str) -> ProductInput {
    ProductInput {
        title: title.to_owned(),
        slug: None,
        description: String::new(),
        brand: None,
        category_id: None,
        attributes: Vec::new(),
        tags: Vec::new(),
        options: Vec::new(),
        skus: vec![sku(None, &[])],
        images: Vec::new(),
    }
}

/// A list price from now on.
pub(crate) fn price(sku_id: SkuId, price: Money) -> SetPrice {
    SetPrice { sku_id, kind: PriceKind::List, price, compare_at: None, starts_at: None, ends_at: None }
}

pub(crate) fn address(recipient: &str) -> AddressInput {
    AddressInput {
        recipient: recipient.to_owned(),
        phone: "+14155550100".to_owned(),
        country: "US".to_owned(),
        region: "CA".to_owned(),
        city: "San José".to_owned(),
        district: String::new(),
        line1: "1 Main Street".to_owned(),
        line2: String::new(),
        postal_code: "95113".to_owned(),
        is_default: false,
    }
}

impl Fixture {
    /// Opens an account.
    pub(crate) async fn member(&self, name: &str) -> Result<(AccountView, Ctx)> {
        let register = Register {
            email: format!("{name}@example.com"),
            password: PASSWORD.to_owned(),
            name: name.to_owned(),
            country: None,
        };
        let account = self.contracts.accounts.register(&nobody(), register).await?;
        let ctx = user(account.id, &[]);
        Ok((account, ctx))
    }

    pub(crate) async fn shopper(&self, name: &str) -> Result<Shopper> {
        let (_, ctx) = self.member(name).await?;
        let address = self.contracts.accounts.add_address(&ctx, address(name)).await?.id;
        Ok(Shopper { ctx, address })
    }

    /// Adds a product and puts it on the shelf.
    pub(crate) async fn published(&self, input: ProductInput) -> Result<ProductRecord> {
        let id = self.contracts.catalog.add_product(&system(), input).await?.id;
        let publish = MoveProduct { id, action: ProductAction::Publish };
        self.contracts.catalog.move_product(&system(), publish).await
    }

    /// A product that can be bought.
    pub(crate) async fn goods(&self, title: &str, cost: Money, stock: i64) -> Result<Goods> {
        let record = self.published(product(title)).await?;
        let goods = Goods { product: record.id, sku: record.skus[0].id };
        self.contracts.pricing.set_prices(&system(), vec![price(goods.sku, cost)]).await?;
        let initial = InitialStock { sku_id: goods.sku, quantity: stock };
        self.contracts.inventory.set_initial(&system(), vec![initial]).await?;
        Ok(goods)
    }

    /// Units that can be bought.
    pub(crate) async fn available(&self, sku: SkuId) -> Result<i64> {
        Ok(self.contracts.inventory.availability(&nobody(), vec![sku]).await?[0].available)
    }

    /// An order of these items, not paid yet; `key` is its idempotency key.
    pub(crate) async fn order(
        &self,
        shopper: &Shopper,
        items: Vec<LineInput>,
        key: &str,
    ) -> Result<OrderView> {
        let place = PlaceOrder { address_id: shopper.address, items: Some(items), quote: None, remark: None };
        self.contracts.orders.place(&keyed(&shopper.ctx, key), place).await
    }

    /// Opens an order's payment.
    pub(crate) async fn pay(&self, shopper: &Shopper, order: &OrderView) -> Result<PaymentView> {
        let pay = PayOrder { order_id: order.id, channel: "sandbox".to_owned() };
        self.contracts.orders.pay(&keyed(&shopper.ctx, &format!("pay {}", order.id)), pay).await
    }

    /// Has the provider capture what the order comes to, and waits until the order knows.
    pub(crate) async fn capture(&self, shopper: &Shopper, payment: &PaymentView) -> Result<OrderView> {
        let simulate = Simulate { payment_id: payment.id, outcome: SandboxOutcome::Succeed };
        self.contracts.payments.simulate(&shopper.ctx, simulate).await?;
        until(async || {
            let order = self.contracts.orders.order(&shopper.ctx, payment.order_id).await?;
            Ok((order.state == OrderState::Paid).then_some(order))
        })
        .await
    }
}
