//! What keeps a process of Meridian running: configuration, keys, telemetry, modules, tasks, jobs and shutdown.
//!
//! A domain describes itself with a [`Module`]; a [`Registry`] puts modules in the order of their needs; an [`App`] runs
//! them over one database: consumers on the bus, jobs, HTTP. It stops in reverse: drain requests, end jobs and consumers,
//! run the stop hooks.
//!
//! - Background work is spawned through [`Tasks`], so that stopping waits for it and a panic is seen.
//! - A [`Job`] runs once at a time over all processes, with its history in `job_run`.
//! - Configuration is layered ([`Config`]); a key that nobody knows is an error that names it and its file.
//! - Secrets are [`SecretKey`]s from [`Keys`]; they print as `***`.
//!
//! Table: `job_run`. Routes: `/api/v1/admin/jobs`, `/api/v1/admin/dead-letters`.

mod app;
mod audit;
mod config;
mod jobs;
mod keys;
mod module;
mod operations;
mod registry;
mod shutdown;
mod tasks;
mod telemetry;

pub use app::{App, AppConfig, Running};
pub use audit::{Check, Finding, Scope, events_check};
pub use config::{Config, ConfigBuilder};
pub use jobs::{Job, JobRun, JobRunView, JobView, Jobs, JobsConfig, Ran};
pub use keys::{Keys, SecretKey};
pub use module::Module;
pub use operations::operations_routes_for_document;
pub use registry::Registry;
pub use shutdown::shutdown_signal;
pub use tasks::Tasks;
pub use telemetry::{LogFormat, METRICS, Metric, MetricKind, OtlpConfig, Telemetry, TelemetryConfig};
