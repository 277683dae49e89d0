//! Configuration, telemetry, modules, jobs, tasks and shutdown
