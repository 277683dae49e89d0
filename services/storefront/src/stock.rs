//! Stock in words.

use crate::frame::Frame;

/// From this many units on nobody is told how many there are.
const PLENTY: i64 = 10;

/// What a shopper is told about stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stock {
    /// Nothing to be had.
    Out,
    /// So many, and no more.
    Few(i64),
    /// Enough.
    Plenty,
}

impl Stock {
    /// For so many units.
    pub(crate) const fn of(available: i64) -> Self {
        match available {
            ..=0 => Self::Out,
            1..PLENTY => Self::Few(available),
            _ => Self::Plenty,
        }
    }

    /// In words.
    pub(crate) fn text(self, page: &Frame) -> String {
        match self {
            Self::Out => page.t("stock-out"),
            Self::Few(units) => page.n("stock-few", &units),
            Self::Plenty => page.t("stock-in"),
        }
    }

    /// The style of the words.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Out => "stock out",
            Self::Few(_) => "stock few",
            Self::Plenty => "stock in",
        }
    }

    /// Whether anything can be bought.
    pub(crate) const fn any(self) -> bool {
        !matches!(self, Self::Out)
    }
}
