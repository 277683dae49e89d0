//! The test platform: a shop in a folder, builders, fake clock, process launcher
