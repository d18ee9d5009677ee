//! The store by itself. What the bus does with it is in the tests of the runtime.
