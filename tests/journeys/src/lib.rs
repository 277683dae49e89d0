//! Flows across services: see `tests/it`.
