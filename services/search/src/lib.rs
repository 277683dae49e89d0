//! Search: the index fed by events, facets, suggestions, repair
