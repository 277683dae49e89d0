//! Orders: quote, place, pay, settle, cancel, expire
