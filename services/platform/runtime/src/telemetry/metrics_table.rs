//! Every metric, as `/metrics` describes it and `services/meridian/reference/metrics.md` lists it.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size; the name says of what (`_seconds`, `_size`).
    Histogram,
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

impl Metric {
    /// Tells the recorder what it says.
    pub(super) fn describe(&self) {
        match self.kind {
            MetricKind::Counter => metrics::describe_counter!(self.name, self.help),
            MetricKind::Gauge => metrics::describe_gauge!(self.name, self.help),
            MetricKind::Histogram => metrics::describe_histogram!(self.name, self.help),
        }
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Histogram, labels, help }
}

/// Every metric, by name. A test holds the sources to it.
pub const METRICS: &[Metric] = &[
    counter("account_logins_total", &["outcome"], "Log-ins: opened or refused."),
    counter("account_refresh_reused_total", &[], "Refresh tokens used again, whose sessions were ended."),
    counter("account_registered_total", &[], "Accounts registered."),
    gauge("audit_looked_at", &["rule"], "What the online audit looked at in its last run here, by rule."),
    gauge(
        "audit_wrong",
        &["rule"],
        "What the online audit found wrong in its last run here, by rule: anything but 0 wants a person.",
    ),
    counter("bus_consumed_total", &["subscription"], "Events consumed."),
    gauge("bus_dead_letters", &["subscription"], "Events that could not be consumed and wait for a person."),
    counter(
        "bus_foreign_total",
        &["subscription"],
        "Messages of the broker that are no events of this shop, and were let go.",
    ),
    gauge(
        "bus_lag",
        &["subscription"],
        "Events of the log that a subscription has not consumed: the queue's lag.",
    ),
    counter("bus_relay_duplicates_total", &[], "Events that the broker had already when they were relayed."),
    histogram("bus_relay_seconds", &[], "From an event's moment to the broker's acknowledgement."),
    gauge("bus_relay_waiting", &[], "Events of the log that the broker has not acknowledged."),
    counter("bus_relayed_total", &[], "Events relayed to the broker."),
    counter("bus_retries_total", &["subscription"], "Events tried again."),
    counter("bus_sequenced_total", &[], "Events that got their position in the log."),
    counter(
        "cache_requests_total",
        &["cache", "level", "result"],
        "Look-ups in a cache, by level (l1 the process' own, l2 Redis) and what was found.",
    ),
    histogram(
        "client_request_duration_seconds",
        &["domain", "method", "status"],
        "Calls to other processes of ours.",
    ),
    counter("client_requests_total", &["domain", "method", "status"], "Calls to other processes of ours."),
    histogram("db_group_size", &[], "Writes that shared one transaction."),
    gauge("db_pool_connections", &["pool", "state"], "Connections to the database, used and idle."),
    gauge("db_queue_depth", &[], "Writes that wait for the writer; on TiDB also those under way."),
    counter(
        "db_requests_joined_total",
        &["route"],
        "Requests that came again while they were under way in the same process, and waited for their answer.",
    ),
    counter(
        "db_retries_total",
        &["code"],
        "Transactions and reads that TiDB asked for again, by its error code; `lost`: no answer.",
    ),
    counter(
        "edge_broken_answers_total",
        &[],
        "Answers of other regions that broke off after their beginning had been passed on.",
    ),
    histogram(
        "edge_forward_duration_seconds",
        &["region"],
        "Requests passed on to another region, until its answer was there.",
    ),
    counter(
        "edge_hop_failures_total",
        &["region", "reason"],
        "Requests passed on to another region and not answered by it in time: unreached, unserved, broken, error, slow.",
    ),
    counter(
        "edge_requests_total",
        &["decision"],
        "Public requests of a region by what its entrance did: served here (anybody, here, hop, here_…), forwarded, refused.",
    ),
    histogram(
        "http_request_duration_seconds",
        &["method", "route", "status"],
        "Requests, until the answer's head.",
    ),
    gauge("http_requests_in_flight", &[], "Requests being answered."),
    counter("http_requests_total", &["method", "route", "status"], "Requests."),
    histogram("inventory_group_size", &[], "Requests about holds that were decided in one transaction."),
    counter("inventory_holds_expired_total", &[], "Holds whose time was over and whose stock went back."),
    counter(
        "inventory_quota_moved_units_total",
        &[],
        "Units whose region was changed, so that they lie where they are bought.",
    ),
    counter(
        "inventory_quota_units_total",
        &["from"],
        "Units that buyers of this region reserved: from its own part of the stock, or borrowed from other regions'.",
    ),
    counter(
        "inventory_requests_total",
        &["request", "outcome"],
        "Requests about holds: reserved, confirmed, released.",
    ),
    counter(
        "inventory_turned_away_total",
        &[],
        "Buyers of what is sold out who were turned away without asking the database.",
    ),
    histogram("job_duration_seconds", &["job"], "Runs of background jobs."),
    counter("job_runs_total", &["job", "ok"], "Runs of background jobs."),
    histogram("order_place_duration_seconds", &[], "Placing an order, from its check to its commit."),
    counter("orders_cancelled_total", &["reason"], "Orders cancelled."),
    counter("orders_conflicted_total", &[], "Orders whose payment does not fit and which wait for a person."),
    counter("orders_money_sent_back_total", &[], "Payments sent back because their order cannot be."),
    counter("orders_paid_total", &[], "Orders paid."),
    counter("orders_placed_total", &[], "Orders placed."),
    counter("payment_attempts_failed_total", &[], "Attempts to pay that were declined or cancelled."),
    counter("payment_captured_late_total", &[], "Payments captured after their payment had ended."),
    counter("payment_captured_total", &[], "Payments captured."),
    counter("payment_conflicted_total", &[], "Payments of another amount or number than asked for."),
    counter("payment_refunds_total", &["outcome"], "Refunds: succeeded or failed at the provider."),
    counter("payment_surplus_total", &[], "Second payments of what was paid already."),
    gauge("process_resident_memory_bytes", &[], "Memory in RAM."),
    gauge("process_uptime_seconds", &[], "Since the process started."),
    counter(
        "redis_invalidations_total",
        &["outcome"],
        "Changes told to the other processes: delivered at once, or late.",
    ),
    counter("redis_link_losses_total", &[], "Times that Redis could not be used any more."),
    gauge("redis_linked", &[], "1 while this process uses Redis and hears of changes, else 0."),
    counter(
        "region_journal_failures_total",
        &[],
        "Times that the map of regions could not be read or changed.",
    ),
    gauge("region_leases_held", &[], "Shards whose work lease this process holds for its region."),
    histogram("search_duration_seconds", &[], "Searches."),
    counter("search_indexed_total", &[], "Changes made to the search index."),
    gauge("search_lag_seconds", &[], "Age of the oldest change that the search index does not have."),
    counter("task_panics_total", &["task"], "Background tasks that panicked."),
    counter(
        "telemetry_exports_total",
        &["signal", "outcome"],
        "Exports of traces and logs to the collector.",
    ),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use super::*;

    /// Kind and name of each metric a source file mentions.
    fn mentioned(source: &str, found: &mut BTreeMap<String, MetricKind>) {
        for (call, kind) in [
            ("counter", MetricKind::Counter),
            ("gauge", MetricKind::Gauge),
            ("histogram", MetricKind::Histogram),
        ] {
            let call = format!("{call}!(");
            for (place, _) in source.match_indices(&call) {
                let described = source[..place].ends_with("describe_");
                let rest = source[place + call.len()..].trim_start();
                if let Some((name, _)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'))
                    && !described
                    && !name.starts_with("test_")
                {
                    found.insert(name.to_owned(), kind);
                }
            }
        }
    }

    fn walk(folder: &Path, found: &mut BTreeMap<String, MetricKind>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                mentioned(&fs::read_to_string(&path).unwrap(), found);
            }
        }
    }

    #[test]
    fn the_table_is_what_the_sources_count() {
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut counted = BTreeMap::new();
        walk(&services, &mut counted);
        walk(&services.join("../operators"), &mut counted);
        let listed: BTreeMap<String, MetricKind> =
            METRICS.iter().map(|metric| (metric.name.to_owned(), metric.kind)).collect();
        assert_eq!(counted, listed);
        assert_eq!(METRICS.len(), listed.len(), "a metric is listed twice");
        assert!(METRICS.is_sorted_by_key(|metric| metric.name));
    }
}
