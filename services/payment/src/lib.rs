//! Payments: intents, attempts, channels, callbacks, refunds
