//! Placeholder for the memory engine.
