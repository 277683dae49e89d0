//! What a product is and how it moves: pure.

use contracts::catalog::{ProductAction, ProductState, code};
use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Where a product stands: `on_shelf` says something for published ones only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: ProductState,
    pub(crate) on_shelf: bool,
}

impl Standing {
    pub(crate) const DRAFT: Self = Self { state: ProductState::Draft, on_shelf: false };
    pub(crate) const ON_SHELF: Self = Self { state: ProductState::Published, on_shelf: true };
    pub(crate) const OFF_SHELF: Self = Self { state: ProductState::Published, on_shelf: false };

    /// Whether shoppers see and buy it.
    pub(crate) fn is_sold(self) -> bool {
        self == Self::ON_SHELF
    }

    /// Where `action` leads; `catalog.state` when the product does not stand where it starts.
    pub(crate) fn after(self, action: ProductAction) -> Result<Self> {
        match (self.state, self.on_shelf, action) {
            (ProductState::Draft, _, ProductAction::Publish)
            | (ProductState::Published, false, ProductAction::Shelve) => Ok(Self::ON_SHELF),
            (ProductState::Published, _, ProductAction::Unpublish) => Ok(Self::DRAFT),
            (ProductState::Published, true, ProductAction::Unshelve) => Ok(Self::OFF_SHELF),
            (ProductState::Draft, _, _) => Err(refused("the product is a draft; publish it first")),
            (_, _, ProductAction::Publish) => Err(refused("the product is published already")),
            (_, _, ProductAction::Shelve) => Err(refused("the product is on the shelf already")),
            (_, _, ProductAction::Unshelve) => Err(refused("the product is off the shelf already")),
        }
    }
}

fn refused(why: &str) -> Failure {
    Failure::new(code::STATE).detail(why)
}

/// The state's name in the database.
pub(crate) fn state_name(state: ProductState) -> &'static str {
    match state {
        ProductState::Draft => "draft",
        ProductState::Published => "published",
    }
}

/// Reads [`state_name`]; what is not `published` is not shown.
pub(crate) fn state_of(name: &str) -> ProductState {
    if name == "published" { ProductState::Published } else { ProductState::Draft }
}

/// What a product's row keeps as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Details {
    /// Names of the options, in order.
    pub(crate) options: Vec<String>,
    pub(crate) attributes: Vec<contracts::catalog::NamedValue>,
    pub(crate) tags: Vec<String>,
}

/// What identifies a SKU inside its product: its option values in order, without regard to case. The options' names do
/// not count, so renaming an option keeps its SKUs.
pub(crate) fn option_key<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().map(str::to_lowercase).collect::<Vec<_>>().join("\u{1f}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIONS: [ProductAction; 4] =
        [ProductAction::Publish, ProductAction::Unpublish, ProductAction::Shelve, ProductAction::Unshelve];

    #[test]
    fn every_state_answers_every_action() {
        let table = [
            (Standing::DRAFT, [Some(Standing::ON_SHELF), None, None, None]),
            (Standing::ON_SHELF, [None, Some(Standing::DRAFT), None, Some(Standing::OFF_SHELF)]),
            (Standing::OFF_SHELF, [None, Some(Standing::DRAFT), Some(Standing::ON_SHELF), None]),
        ];
        for (from, outcomes) in table {
            for (action, to) in ACTIONS.into_iter().zip(outcomes) {
                assert_eq!(from.after(action).ok(), to, "{from:?} {action:?}");
            }
        }
    }
}
