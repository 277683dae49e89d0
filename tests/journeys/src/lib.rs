//! Flows across services, all-in-one and split; scars
