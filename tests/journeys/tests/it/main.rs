//! Flows across services, through the API of the real binary, all-in-one and split.

mod accounts;
mod attributes;
mod backup;
mod buying;
mod carts;
mod catalog;
mod endpoint;
mod importing;
mod inputs;
mod jurisdictions;
mod migrating_in;
mod paying;
mod placing;
mod proofs;
mod quotas;
mod readers;
mod redis;
mod regions;
mod routes;
mod scars;
mod searching;
mod shelf;
mod tracing;
mod up;
mod verifying;
