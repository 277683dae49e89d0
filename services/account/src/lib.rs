//! Accounts: identity, sessions, addresses, roles and permissions, audit
