//! The Meridian binary: serve, migrate, import, seed, backup
