//! In-process cache: single flight, jittered time to live, negative entries, Bloom filter
