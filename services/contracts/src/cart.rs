//! Carts of guests and members.

use garde::Validate;
use kernel::{Money, Timestamp, id_kinds};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    catalog::{NamedValue, ProductId, SkuId},
    pricing::{LineInput, MAX_QUANTITY},
};

id_kinds! {
    /// A cart.
    CartId, Cart = "crt";
}

/// Error codes.
pub mod code {
    kernel::codes! {
        FULL = 409 "cart.full" "The cart has as many lines as it may have";
        EMPTY = 409 "cart.empty" "The cart is empty";
        TOKEN_INVALID = 422 "cart.token_invalid" "The cart token is not one of ours";
    }
}

/// What changed on a line since the shopper last saw the cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CartChange {
    /// The price is another one.
    PriceChanged {
        /// What it was.
        from: Money,
        /// What it is.
        to: Money,
    },
    /// Fewer units can be bought than the line has.
    StockShort {
        /// How many can.
        available: i64,
    },
    /// It is not sold any more; the line does not count.
    NotSold,
}

/// A line of a cart, with live price and stock.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CartLine {
    /// Which SKU.
    pub sku_id: SkuId,
    /// Its product.
    pub product_id: ProductId,
    /// The SKU's code.
    pub sku_code: String,
    /// The product's slug.
    pub slug: String,
    /// The product's title.
    pub title: String,
    /// The SKU's options.
    pub options: Vec<NamedValue>,
    /// Image address, where there is one.
    pub image: Option<String>,
    /// Units wanted.
    pub quantity: i64,
    /// Units one can buy now.
    pub available: i64,
    /// Price of a unit; none where it is not sold.
    pub unit_price: Option<Money>,
    /// Unit price times quantity.
    pub subtotal: Option<Money>,
    /// What changed since the cart was last seen.
    pub changes: Vec<CartChange>,
}

/// A cart.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CartView {
    /// Its id; none before the first line.
    pub id: Option<CartId>,
    /// A guest's token: send it back as `X-Cart-Token`. None for members.
    pub token: Option<String>,
    /// Lines in the order they were put in.
    pub items: Vec<CartLine>,
    /// Units in all.
    pub quantity: i64,
    /// Sum of the lines that can be bought; none for an empty cart or mixed currencies.
    pub subtotal: Option<Money>,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// So many units.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    /// 1 to 999.
    #[garde(range(min = 1, max = MAX_QUANTITY))]
    #[schema(minimum = 1, maximum = 999)]
    pub quantity: i64,
}

/// A guest's cart to merge.
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeCart {
    /// The guest's token; that of the `X-Cart-Token` header when absent.
    #[garde(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    #[serde(default)]
    pub token: Option<String>,
}

contract! {
    /// Carts. Whose is said by the context: the member's, or the guest's by `cart_token`.
    Carts as "cart", CartsClient, CartsDispatcher {
        /// The cart with live prices and stock; seeing it takes note of the prices seen. A guest without a cart gets a new token.
        cart(()) -> CartView;
        /// Sets the units of a SKU. 404 for unknown SKUs, `pricing.not_sold`, `cart.full` beyond 100 lines.
        put(LineInput) -> CartView;
        /// Takes a SKU out; harmless when it is not in.
        remove(SkuId) -> CartView;
        /// Adds a guest's lines to the member's: quantities are added up to the limit; the guest's cart is empty afterwards. Again is harmless.
        merge(MergeCart) -> CartView;
        /// The lines a checkout would order: sold SKUs and their quantities. `cart.empty` without any.
        checkout_lines(()) -> Vec<LineInput>;
    }
}
