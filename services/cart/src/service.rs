//! The service: what carts need, and the contract by delegation.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use contracts::{
    Caller, Ctx,
    cart::{CartView, Carts, MergeCart},
    catalog::{Catalog, SkuId},
    inventory::Inventory,
    pricing::{LineInput, PricesOf, Pricing},
};
use futures::future::try_join3;
use kernel::{Failure, Result, code};
use platform_db::Db;

use crate::{
    CartConfig,
    model::{Fact, Key, Owner},
    token::Token,
};

/// Where the header's token is named when it is wrong.
pub(crate) const HEADER: &str = "X-Cart-Token";

/// Carts.
pub struct CartService {
    pub(crate) db: Db,
    catalog: Arc<dyn Catalog>,
    pricing: Arc<dyn Pricing>,
    inventory: Arc<dyn Inventory>,
    pub(crate) config: CartConfig,
}

/// The cart a call is about; a guest's with the token that names it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) key: Key,
    pub(crate) token: Option<Token>,
}

impl CartService {
    /// Carts in `db`, asking the others through their contracts. A configuration that cannot work is refused.
    pub fn new(
        db: Db,
        catalog: Arc<dyn Catalog>,
        pricing: Arc<dyn Pricing>,
        inventory: Arc<dyn Inventory>,
        config: CartConfig,
    ) -> Result<Arc<Self>> {
        config.validate()?;
        Ok(Arc::new(Self { db, catalog, pricing, inventory, config }))
    }

    /// Whose cart a call means: the member's, the guest's by the token, or a new guest's. A token whose cart is not there
    /// (not yet, or not any more) names an empty cart; nothing is written before its first line.
    pub(crate) fn named(&self, ctx: &Ctx) -> Result<Named> {
        match &ctx.caller {
            Caller::User { id, .. } => Ok(Named { key: Key::of_member(*id), token: None }),
            Caller::Anonymous => match &ctx.cart_token {
                Some(text) => Ok(self.guest(Token::parse(text, self.db.shards(), HEADER)?)),
                None => Ok(self.new_guest()),
            },
            Caller::System => Err(Failure::new(code::UNAUTHENTICATED)),
        }
    }

    /// The guest's cart that a token names.
    pub(crate) fn guest(&self, token: Token) -> Named {
        Named { key: Key { id: token.cart(), owner: Owner::Guest(token.hash()) }, token: Some(token) }
    }

    /// A cart for a guest who has none.
    pub(crate) fn new_guest(&self) -> Named {
        self.guest(Token::mint(self.db.ids(), self.db.random_shard()))
    }

    /// What is known of these SKUs now: three questions, however many they are.
    pub(crate) async fn facts(&self, ctx: &Ctx, skus: &[SkuId]) -> Result<HashMap<SkuId, Fact>> {
        if skus.is_empty() {
            return Ok(HashMap::new());
        }
        let (infos, prices, stock) = try_join3(
            self.catalog.skus(ctx, skus.to_vec()),
            self.pricing.prices(ctx, PricesOf { sku_ids: skus.to_vec(), currency: None }),
            self.inventory.availability(ctx, skus.to_vec()),
        )
        .await?;
        let prices: HashMap<SkuId, _> = prices.into_iter().map(|price| (price.sku_id, price.price)).collect();
        let stock: HashMap<SkuId, _> =
            stock.into_iter().map(|stock| (stock.sku_id, stock.available)).collect();
        let fact = |info: contracts::catalog::SkuInfo| {
            let id = info.sku.id;
            let fact = Fact {
                info,
                price: prices.get(&id).copied(),
                available: stock.get(&id).copied().unwrap_or(0),
            };
            (id, fact)
        };
        Ok(infos.into_iter().map(fact).collect())
    }
}

#[async_trait]
impl Carts for CartService {
    async fn cart(&self, ctx: &Ctx, (): ()) -> Result<CartView> {
        let named = self.named(ctx)?;
        self.view(ctx, named).await
    }

    async fn put(&self, ctx: &Ctx, command: LineInput) -> Result<CartView> {
        self.put_line(ctx, command).await
    }

    async fn remove(&self, ctx: &Ctx, command: SkuId) -> Result<CartView> {
        self.remove_line(ctx, command).await
    }

    async fn merge(&self, ctx: &Ctx, command: MergeCart) -> Result<CartView> {
        self.merge_guest(ctx, command).await
    }

    async fn checkout_lines(&self, ctx: &Ctx, (): ()) -> Result<Vec<LineInput>> {
        self.lines_to_order(ctx).await
    }
}
