//! The shop's pages: askama and htmx, calling contracts only
