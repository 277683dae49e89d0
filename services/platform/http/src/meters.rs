//! What is counted of requests.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram};

/// A worker's handles: looking one up in the recorder costs more than counting.
#[derive(Default)]
pub(crate) struct Meters(RefCell<HashMap<Labels, (Counter, Histogram)>>);

/// Method, route and status.
type Labels = (&'static str, String, u16);

impl Meters {
    pub(crate) fn record(&self, method: &Method, route: String, status: StatusCode, elapsed: Duration) {
        let mut meters = self.0.borrow_mut();
        let key = (label(method), route, status.as_u16());
        let (requests, duration) = meters.entry(key).or_insert_with_key(|(method, route, status)| {
            let labels =
                [("method", (*method).to_owned()), ("route", route.clone()), ("status", status.to_string())];
            let requests = metrics::counter!("http_requests_total", &labels);
            (requests, metrics::histogram!("http_request_duration_seconds", &labels))
        });
        requests.increment(1);
        duration.record(elapsed.as_secs_f64());
    }
}

/// Anybody may invent a method; the label must not grow with it.
pub(crate) fn label(method: &Method) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"]
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("OTHER")
}
