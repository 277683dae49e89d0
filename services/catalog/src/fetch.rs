//! Fetches images that a catalog names by address. Whoever writes a catalog chooses the address, so it must not lead into
//! the network this runs in: every host, also of a redirect, is resolved here and private addresses are refused.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use kernel::{Failure, Result};
use reqwest::{
    Client, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header::LOCATION,
    redirect::Policy,
};
use url::{Host, Url};

use crate::{config::ImagesConfig, media::content_type};

const REDIRECTS: usize = 3;

/// Why an image could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// Trying again will not help.
    #[error("{0}")]
    Refused(String),
    /// The host did not answer, or not well.
    #[error("{0}")]
    Unreachable(String),
}

/// An image that was fetched.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: &'static str,
}

pub(crate) struct Fetcher {
    client: Client,
    timeout: Duration,
    max_bytes: usize,
    private: bool,
}

impl Fetcher {
    pub(crate) fn new(config: &ImagesConfig) -> Result<Self> {
        // Another part of the process may have installed it; it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("meridian/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            // A proxy would resolve names for us, out of sight.
            .no_proxy()
            .referer(false)
            .pool_max_idle_per_host(config.concurrency)
            .timeout(config.timeout)
            .dns_resolver(Arc::new(PublicOnly { private: config.allow_private_addresses }))
            .build()
            .map_err(Failure::internal)?;
        Ok(Self {
            client,
            timeout: config.timeout,
            max_bytes: config.max_bytes,
            private: config.allow_private_addresses,
        })
    }

    /// Fetches one image; the whole of it, redirects included, within the configured time and size.
    pub(crate) async fn fetch(&self, src: &str) -> std::result::Result<Fetched, FetchError> {
        tokio::time::timeout(self.timeout, self.follow(src))
            .await
            .unwrap_or_else(|_| Err(FetchError::Unreachable("the host did not answer in time".to_owned())))
    }

    async fn follow(&self, src: &str) -> std::result::Result<Fetched, FetchError> {
        let mut url = Url::parse(src).map_err(|_| FetchError::Refused("is no address".to_owned()))?;
        for _ in 0..=REDIRECTS {
            self.check(&url)?;
            let response = self.client.get(url.clone()).send().await.map_err(|error| unreachable(&error))?;
            let status = response.status();
            if status.is_redirection() {
                let location =
                    response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("");
                url = url
                    .join(location)
                    .map_err(|_| FetchError::Refused("redirects to no address".to_owned()))?;
            } else if status.is_success() {
                return self.read(response).await;
            } else if status.is_client_error() && status.as_u16() != 429 {
                return Err(FetchError::Refused(format!("the host answered {}", status.as_u16())));
            } else {
                return Err(FetchError::Unreachable(format!("the host answered {}", status.as_u16())));
            }
        }
        Err(FetchError::Refused("redirects too often".to_owned()))
    }

    /// Schemes, and hosts that are addresses: those are not resolved, so the resolver does not see them.
    fn check(&self, url: &Url) -> std::result::Result<(), FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Refused("leads to something else than http or https".to_owned()));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(FetchError::Refused("names no host".to_owned())),
        };
        match address {
            Some(address) if !self.private && !is_public(address) => Err(private()),
            _ => Ok(()),
        }
    }

    async fn read(&self, mut response: Response) -> std::result::Result<Fetched, FetchError> {
        let too_large = || FetchError::Refused(format!("is larger than {} bytes", self.max_bytes));
        if response.content_length().is_some_and(|length| length > self.max_bytes as u64) {
            return Err(too_large());
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if bytes.len() + chunk.len() > self.max_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        let bytes = bytes.freeze();
        let content_type = content_type(&bytes)
            .ok_or_else(|| FetchError::Refused("is no PNG, JPEG, WebP, GIF or AVIF image".to_owned()))?;
        Ok(Fetched { bytes, content_type })
    }
}

fn private() -> FetchError {
    FetchError::Refused("leads to a private address".to_owned())
}

/// What went wrong, without the address: it may carry a secret in its query.
fn unreachable(error: &reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<PrivateAddress>() {
            return private();
        }
        cause = error.source();
    }
    let what = if error.is_timeout() {
        "the host did not answer in time"
    } else if error.is_connect() {
        "the host cannot be reached"
    } else {
        "the answer broke off"
    };
    FetchError::Unreachable(what.to_owned())
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads to private addresses only")]
struct PrivateAddress;

/// Resolves names and leaves private addresses out. The connection goes to what was checked: nobody resolves again.
struct PublicOnly {
    private: bool,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> =
                found.into_iter().filter(|it| private || is_public(it.ip())).collect();
            if public.is_empty() {
                return Err(PrivateAddress.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is out in the Internet (IANA's registries of special-purpose addresses).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4 in IPv6: mapped, NAT64, 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        // Teredo and the other protocol assignments, documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Everything else that is routed lies in 2000::/3; loopback, unique local, link-local and multicast do not.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_public_addresses_from_private_ones() {
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[tokio::test]
    async fn refuses_private_hosts_by_address_and_by_name() {
        let fetcher = Fetcher::new(&ImagesConfig::default()).unwrap();
        for src in [
            "http://127.0.0.1/a.png",
            "http://[::1]/a.png",
            "http://0x7f.1/a.png",
            "http://2130706433/a.png",
            "http://localhost:1/a.png",
        ] {
            assert_eq!(fetcher.fetch(src).await.unwrap_err(), private(), "{src}");
        }
        assert!(matches!(fetcher.fetch("file:///etc/passwd").await, Err(FetchError::Refused(_))));
    }
}
