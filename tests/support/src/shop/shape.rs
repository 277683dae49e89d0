//! How a shop is cut into processes.

const EVERY_SERVICE: &str = "account,catalog,inventory,pricing,cart,payment,order,search,import,storefront";

/// How the shop is cut into processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One process runs everything.
    AllInOne,
    /// Three process groups: what one looks at, what one orders with, the entrance.
    Split,
    /// Two processes with every service but the provider of payments, which is a third. Both are entrances.
    Twice,
    /// Three regions ([`REGIONS`]), a process each with everything. All are entrances.
    Regions,
    /// The first of them alone: what regions cost where none is far.
    OneRegion,
}

/// The regions of [`Shape::Regions`].
pub const REGIONS: [&str; 3] = ["us-east", "eu-west", "ap-southeast"];

impl Shape {
    /// The targets of each process; the last one is the entrance.
    pub(super) fn groups(self) -> Vec<&'static str> {
        match self {
            Self::AllInOne => vec!["all"],
            Self::Split => vec![
                "account,catalog,pricing,inventory,import",
                "order,payment,sandbox,cart",
                "search,storefront",
            ],
            Self::Twice => vec!["sandbox", EVERY_SERVICE, EVERY_SERVICE],
            Self::Regions | Self::OneRegion => vec!["all"; self.regions().len()],
        }
    }

    /// How many processes, from the last, are entrances.
    pub(super) const fn entrances(self) -> usize {
        match self {
            Self::AllInOne | Self::Split | Self::OneRegion => 1,
            Self::Twice => 2,
            Self::Regions => REGIONS.len(),
        }
    }

    /// The region of each process; none in a shop without regions.
    pub(super) const fn regions(self) -> &'static [&'static str] {
        match self {
            Self::AllInOne | Self::Split | Self::Twice => &[],
            Self::Regions => &REGIONS,
            Self::OneRegion => &[REGIONS[0]],
        }
    }
}
