//! Where the regions listen.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Result, anyhow};
use kernel::Region;

use super::{REGIONS, children::Place};

/// A free address for each region: `base` and the ports after it, or any where it is 0. They are only looked at: whoever
/// takes one between this look and the start of its region is found out by that region.
pub(super) fn places(base: u16) -> Result<Vec<Place>> {
    let mut taken = Vec::new();
    let mut places = Vec::new();
    // Held until all are found, so that none is found twice.
    let mut held = Vec::new();
    for (name, port) in REGIONS.into_iter().zip(base..) {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, if base == 0 { 0 } else { port }));
        match TcpListener::bind(wanted) {
            Ok(listener) => {
                places.push(Place { region: Region::new(name), address: listener.local_addr()? });
                held.push(listener);
            }
            Err(error) => taken.push(format!("port {port} for {name} ({error})")),
        }
    }
    if taken.is_empty() {
        return Ok(places);
    }
    Err(anyhow!(
        "cannot listen on {}: stop what uses it, or choose three other ports with --base-port PORT",
        taken.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named() {
        let free = places(0).unwrap();
        assert_eq!(free.len(), 3);
        assert!(free.iter().all(|place| place.address.port() != 0));
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let Some(base) = port.checked_sub(1).filter(|base| *base > 1_024 && *base < 65_533) else { return };
        let error = places(base).unwrap_err().to_string();
        assert!(
            error.contains(&format!("port {port} for eu-west")) && error.contains("--base-port"),
            "{error}"
        );
    }
}
