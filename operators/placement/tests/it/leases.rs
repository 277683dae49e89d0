//! What workers do about leases.

use kernel::Epoch;
use placement::{Instance, Lease, Wish, wish};

use crate::worlds::{at, region};

#[test]
fn the_home_takes_what_is_free_and_others_give_back() {
    let (mine, other) = (Instance::new(region("eu"), "a"), Instance::new(region("us"), "b"));
    let held = |holder: &Instance| Lease { holder: holder.clone(), epoch: Epoch(7), expires_at: at(10) };
    assert_eq!(wish(&mine, true, None, at(0)), Wish::Take);
    assert_eq!(wish(&mine, false, None, at(0)), Wish::Nothing);
    assert_eq!(wish(&mine, true, Some(&held(&mine)), at(9)), Wish::Renew(Epoch(7)));
    assert_eq!(wish(&mine, false, Some(&held(&mine)), at(9)), Wish::Release(Epoch(7)));
    assert_eq!(wish(&mine, true, Some(&held(&other)), at(9)), Wish::Nothing);
    assert_eq!(wish(&mine, true, Some(&held(&other)), at(10)), Wish::Take, "it has run out");
    assert_eq!(wish(&mine, true, Some(&held(&mine)), at(10)), Wish::Take, "mine has run out: a new epoch");
}
