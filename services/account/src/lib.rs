//! Accounts: identity, sessions, addresses, roles and permissions, audit.
//!
//! Invariants:
//! - An e-mail, whatever its case, belongs to one account: `account_email` decides between two registrations at once.
//! - A wrong password and an unknown e-mail get the same answer after as much work, and lock after the same number of
//!   failures.
//! - Of a refresh token only its SHA-256 is kept. It is good once; within the grace period a retry gets the same successor,
//!   later use of any token of the session but the current one ends it.
//! - What changes an account's rights ends its sessions. In the process that did it tokens are refused at once, in others
//!   within `account.session_cache`.
//! - As soon as there is an address, exactly one is the default.
//! - Nobody hands out or takes away permissions that they do not have; `admin` has all and cannot be changed.
//! - A user has at most `account.max_sessions` open; one more ends the oldest.
//! - The audit log is only added to, until a line is older than `account.audit_kept`, and holds no secrets and no e-mails.
//! - A password that another shop hashed with bcrypt is hashed anew at its first log-in here.
//!
//! Tables: `account`, `account_taken`, `account_email`, `role`, `account_role`, `session`, `address`, `login_failure`, `audit_log`.
//! Events out: `account.opened.v1`; none in. Job: `account.sweep`.

mod addresses;
mod audit;
mod config;
mod http;
mod log_in;
mod log_out;
mod model;
mod password;
mod profile;
mod refresh;
mod register;
mod roles;
mod service;
mod staff;
mod store;
mod sweep;
mod take_in;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use contracts::account::{Accounts, AccountsDispatcher};
use platform_runtime::{Job, Module};

pub use config::{AccountConfig, LockoutConfig, PasswordConfig};
pub use service::AccountService;

/// The module `account`.
pub fn module(service: Arc<AccountService>) -> Module {
    let sweeper = Arc::clone(&service);
    Module::new("account")
        .routes(http::routes(Arc::clone(&service)))
        .dispatch(Arc::new(AccountsDispatcher(Arc::clone(&service) as Arc<dyn Accounts>)))
        .job(Job::every("account.sweep", service.config.sweep_every, move |_run| {
            let service = Arc::clone(&sweeper);
            async move { service.sweep().await }
        }))
}
