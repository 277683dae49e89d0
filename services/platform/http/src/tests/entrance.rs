use std::{rc::Rc, sync::Mutex};

use actix_web::http::header::HeaderName;
use futures::{FutureExt, future::LocalBoxFuture};
use kernel::Region;

use super::*;

const KEY: AssertionKey = AssertionKey::new([7; 32]);

/// An entrance that serves everything here, and keeps what it was told about the way of each request.
struct Told {
    region: Region,
    ways: Arc<Mutex<Vec<(bool, bool)>>>,
}

struct Listener(Arc<Mutex<Vec<(bool, bool)>>>);

impl Entrance for Told {
    fn region(&self) -> &Region {
        &self.region
    }

    fn answered(&self, _: bool) {}

    fn map_age(&self) -> Duration {
        Duration::ZERO
    }

    fn door(&self) -> Result<Rc<dyn Door>> {
        Ok(Rc::new(Listener(self.ways.clone())))
    }
}

impl Door for Listener {
    fn enter(self: Rc<Self>, arrival: Arrival, inward: Inward) -> LocalBoxFuture<'static, Entered> {
        self.0.lock().unwrap().push((arrival.passed_on, arrival.hop.is_some()));
        async move { Entered::Answer(inward(arrival.request).await) }.boxed_local()
    }
}

#[actix_web::test]
async fn what_says_that_it_was_passed_on_is_known_as_such_though_clocks_disagree() {
    let ways = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::new(Told { region: Region::new("eu-west"), ways: ways.clone() });
    let mut shop = Shop::new();
    shop.server = shop.server.entrance(told, KEY);
    let path = "/api/v1/ctx";
    let hop = Hop { from: Region::new("us-east"), client: None, left: Duration::from_secs(5) };
    let vouched = |now| KEY.vouch(&hop, "GET", path, now).unwrap();
    let passed_on = |assertion: String| {
        TestRequest::get()
            .uri(path)
            .insert_header((HeaderName::from_static(HOP_HEADER), "us-east"))
            .insert_header((HeaderName::from_static(ASSERTION_HEADER), assertion))
    };
    assert_eq!(shop.get(path).await.status, 200);
    assert_eq!(shop.ask(passed_on(vouched(NOW))).await.status, 200);
    // A region whose clock is a minute behind.
    assert_eq!(shop.ask(passed_on(vouched(NOW.minus(Duration::from_mins(1))))).await.status, 200);
    assert_eq!(*ways.lock().unwrap(), [(false, false), (true, true), (true, false)]);
}

#[actix_web::test]
async fn what_another_region_passes_on_stays_in_its_trace() {
    let told = Arc::new(Told { region: Region::new("eu-west"), ways: Arc::default() });
    let mut shop = Shop::new();
    let seen: Routes = Arc::new(|cfg| {
        cfg.map(|cfg| {
            let seen = |req: HttpRequest| {
                let [traced, ours] =
                    ["traceparent", HOME_HEADER].map(|name| req.headers().contains_key(name));
                std::future::ready(format!("{traced} {ours}"))
            };
            cfg.route("/seen", actix_web::web::get().to(seen));
            cfg
        });
    });
    shop.server = shop.server.entrance(told, KEY).routes([seen]);
    let hop = Hop { from: Region::new("us-east"), client: None, left: Duration::from_secs(5) };
    let passed_on = |key: AssertionKey| {
        TestRequest::get()
            .uri("/seen")
            .insert_header(("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
            .insert_header((HeaderName::from_static(HOP_HEADER), "us-east"))
            .insert_header((HeaderName::from_static(HOME_HEADER), "eu-west"))
            .insert_header((
                HeaderName::from_static(ASSERTION_HEADER),
                key.vouch(&hop, "GET", "/seen", NOW).unwrap(),
            ))
    };
    // No handler sees where a request is said to be at home.
    assert_eq!(shop.ask(passed_on(KEY)).await.text(), "true false");
    assert_eq!(shop.ask(passed_on(AssertionKey::new([8; 32]))).await.text(), "false false");
}
