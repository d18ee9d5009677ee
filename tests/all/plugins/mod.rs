//! Plugins: their life, their config, what they declare, the two examples.
