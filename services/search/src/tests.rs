//! Search over a shop whose catalog, prices and stock are in memory.

mod asking;
mod following;
mod rebuilding;
mod world;
