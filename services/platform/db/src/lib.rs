//! The database behind few doors: read, write, append; outbox, idempotency, inbox, leases
