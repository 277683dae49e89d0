//! Schema of every domain, a module each; expand, then contract
