//! Inventory: stock, reservations, movements, hot stock
