//! Loading of machine code: the one place that needs `unsafe`.

use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code that our own compiler made. Whoever makes one of these vouches for that; see [`load`](Self::load).
pub(crate) struct Artifact(Vec<u8>);

impl Artifact {
    /// What a compiler process answered, over a pipe that nobody else has an end of. Such a process is a program of the
    /// operator's choice, most often this very one: no more and no less trusted than the compiler in our own process. Wasm is
    /// only read there, never executed.
    pub(super) fn of_compiler(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What a cache entry holds whose authentication code was found right: we wrote these bytes under this name ourselves,
    /// after one of the other ways, since nobody else can read the key.
    pub(super) fn of_cache(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The component, ready to be linked.
    ///
    /// # Errors
    /// When it was made for another engine; wasmtime looks at that itself.
    #[allow(unsafe_code)]
    pub(super) fn load(self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` asks that the bytes be what `Engine::precompile_component` or `Component::serialize` returned,
        // unchanged. An `Artifact` is made in two places, each named above, and both hold such bytes only: a compiler
        // process sends the result of `precompile_component` through its own stdout, with its length; the cache stores the
        // result of `serialize`, and checks a keyed hash of it and of the entry's name before it makes an `Artifact`. What
        // an attacker can choose, the component, is never taken for one (`file::check_head`).
        unsafe { Component::deserialize(engine, self.0) }
    }
}
