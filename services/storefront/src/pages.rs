//! The pages, a file a group.

pub(crate) mod account;
pub(crate) mod addresses;
pub(crate) mod cart;
pub(crate) mod category;
pub(crate) mod checkout;
pub(crate) mod help;
pub(crate) mod home;
pub(crate) mod orders;
pub(crate) mod pay;
pub(crate) mod product;
pub(crate) mod regions;
pub(crate) mod search;
pub(crate) mod session;
