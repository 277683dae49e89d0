//! Events from the log to their consumers: retry with backoff, dead letters, replay
