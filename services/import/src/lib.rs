//! Imports: products and categories from files, as jobs with a progress
