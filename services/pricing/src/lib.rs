//! Pricing: prices in force, history, tax, signed quotes
