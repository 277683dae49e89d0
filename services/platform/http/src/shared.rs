//! What all workers share.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};

use actix_web::{
    HttpRequest,
    dev::RequestHead,
    http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue},
    web::Data,
};
use kernel::{Clock, Failure, Result, Timestamp};

use crate::{
    AssertionKey, Auth, Entrance, Hop, HttpServerConfig, caller::bearer, limits::Limits, owners::Owners,
    routes::RouteTable,
};

/// Where staff work.
pub(crate) const STAFF: &str = "/api/v1/admin/";
/// Pages for staff.
const STAFF_PAGES: &str = "/staff/";

/// One a process.
pub(crate) struct Shared {
    pub(crate) config: HttpServerConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) auth: Option<Auth>,
    /// The region's entrance, and the key by which hops from other regions are believed.
    pub(crate) entrance: Option<(Arc<dyn Entrance>, AssertionKey)>,
    /// The key by which calls between processes are known; none where nothing is dispatched.
    pub(crate) internal: Option<AssertionKey>,
    pub(crate) limits: Limits,
    pub(crate) routes: RouteTable,
    pub(crate) owners: Owners,
    pub(crate) in_flight: AtomicUsize,
    pub(crate) draining: AtomicBool,
}

impl Shared {
    /// The state of the server that got `req`.
    pub(crate) fn of(req: &HttpRequest) -> Result<&Arc<Self>> {
        req.app_data::<Data<Self>>()
            .map(|data| &**data)
            .ok_or_else(|| Failure::internal("the handler runs outside platform_http::Server"))
    }

    /// What another region says about a request that it passed on; none in a shop without regions.
    pub(crate) fn hop(&self, head: &RequestHead) -> Option<Hop> {
        let (_, key) = self.entrance.as_ref()?;
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        key.believed(head.headers(), &head.method, target, self.clock.now())
    }

    /// The moment that caches are held to for a request, by its consistency token; none in a shop without regions.
    pub(crate) fn held_to(&self, headers: &HeaderMap) -> Option<Timestamp> {
        let (_, key) = self.entrance.as_ref()?;
        key.held_to(headers, self.clock.now())
    }

    /// Adds the consistency token to the answer to a write; nothing in a shop without regions.
    pub(crate) fn tell_written(&self, headers: &mut HeaderMap) {
        if let Some((_, key)) = &self.entrance {
            key.tell_written(headers, self.clock.now());
        }
    }

    /// Who sent the request: the peer, or whom a trusted proxy names.
    pub(crate) fn address(&self, head: &RequestHead) -> Option<IpAddr> {
        let peer = head.peer_addr?.ip();
        if !self.trusts(peer) {
            return Some(peer);
        }
        let named: Vec<&HeaderValue> = head.headers().get_all("x-forwarded-for").collect();
        let latest = named.into_iter().rev().flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
        // Each proxy appends: the last address that is none of ours is the one a proxy of ours has seen. An entry that is
        // no address was written by a proxy of ours, too, and what stands before it by its client: nobody is named.
        let seen =
            latest.map(|entry| address_in(entry.trim())).find(|ip| !ip.is_some_and(|ip| self.trusts(ip)));
        Some(seen.flatten().unwrap_or(peer))
    }

    /// Counts a request: with a token of ours against the token, else against the address. By its signature alone, since
    /// the limit comes before all that costs more; a text that is no token would be a bucket of its own each time.
    pub(crate) async fn count(&self, head: &RequestHead) -> Result<()> {
        if !self.is_limited(head) {
            return Ok(());
        }
        let token = head.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
        let ours = |token: &&str| self.auth.as_ref().is_some_and(|auth| auth.names(token).is_some());
        match (token.filter(ours), self.address(head)) {
            (Some(token), _) => self.limits.key(token).await,
            (None, Some(address)) => self.limits.address(address).await,
            (None, None) => Ok(()),
        }
    }

    /// Whether requests of this client are counted: those from this machine itself are not, where so configured.
    pub(crate) fn is_limited(&self, head: &RequestHead) -> bool {
        !self.config.rate_limit.exempt_loopback
            || !self.address(head).is_some_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Whether the request's host name may be used for its path. Staff's paths answer to `localhost`, to addresses and to
    /// the names that are configured: a page elsewhere whose name is made to lead here (DNS rebinding) gets nothing, even
    /// where the network or a proxy would let it in. Clients that send no host are no browsers.
    pub(crate) fn may_host(&self, head: &RequestHead) -> bool {
        if !head.uri.path().starts_with(STAFF) && !head.uri.path().starts_with(STAFF_PAGES) {
            return true;
        }
        let sent = head.headers().get(HOST).map(|value| value.to_str().unwrap_or("?"));
        let Some(host) = sent.or_else(|| head.uri.authority().map(|authority| authority.as_str())) else {
            return true;
        };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        name.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok()
            || self.config.staff_hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// How long a request may take. Bodies that are neither JSON nor a form are uploads, and only staff upload: nobody
    /// else keeps a request open for minutes.
    pub(crate) fn deadline(&self, head: &RequestHead) -> Duration {
        let media_type = head.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let media_type = media_type.split(';').next().unwrap_or("").trim();
        let short = ["", "application/json", "application/x-www-form-urlencoded"];
        if short.iter().any(|known| media_type.eq_ignore_ascii_case(known))
            || head.method.is_safe()
            || !head.uri.path().starts_with(STAFF)
        {
            self.config.deadline
        } else {
            self.config.upload_deadline
        }
    }

    /// Whether a proxy of ours has this address.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.config.trusted_proxies.contains(&address.to_canonical())
    }
}

/// The address of an entry of `X-Forwarded-For`; some proxies write its port, too, and IPv6 in brackets.
fn address_in(entry: &str) -> Option<IpAddr> {
    let bare = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    entry.parse().ok().or_else(with_port).or_else(|| bare().map(IpAddr::V6))
}
