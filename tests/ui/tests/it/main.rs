//! The pages in a real Chromium.

mod browser;
mod driver;
mod inspect;
mod journey;
mod journeys;
