//! Contracts over HTTP: the transport between our own processes
