//! Who sells from what regions divide among themselves, and how much.

use kernel::Region;
use placement::Desired;

/// A region that serves shoppers, and its part of what regions divide among themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub region: Region,
    /// Its part, in proportion to the others': its weight in the map.
    pub weight: u16,
    /// Whether it gets any: a cordoned region keeps what it has and gets no more.
    pub takes: bool,
}

/// The regions that serve.
pub(crate) fn shares(desired: &Desired) -> Vec<Share> {
    let serving = desired.regions.iter().filter(|(_, row)| row.serves());
    serving
        .map(|(region, row)| Share { region: region.clone(), weight: row.spec.weight, takes: row.accepts() })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use placement::{Degraded, RegionRow, RegionSpec, Role, State};

    use super::*;

    #[test]
    fn who_is_out_has_no_part_and_who_is_cordoned_gets_none() {
        let mut desired = Desired::default();
        let regions = [
            ("active", Role::Full, State::Active),
            ("cordoned", Role::Full, State::Cordoned),
            ("drained", Role::Full, State::Drained),
            ("fenced", Role::Full, State::Fenced),
            ("witness", Role::Witness, State::Active),
        ];
        for (name, role, state) in regions {
            let spec = RegionSpec {
                role,
                endpoint: String::new(),
                capacity: 1,
                weight: 7,
                jurisdictions: BTreeSet::new(),
                failover_ready: false,
                degraded: Degraded::default(),
            };
            desired.regions.insert(Region::new(name), RegionRow { state, ..RegionRow::new(spec) });
        }
        let share = |name: &str, takes| Share { region: Region::new(name), weight: 7, takes };
        assert_eq!(shares(&desired), [share("active", true), share("cordoned", false)]);
    }
}
