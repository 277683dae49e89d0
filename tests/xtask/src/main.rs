//! Development tasks: test, arch-check, openapi, docs, prove

fn main() {}
