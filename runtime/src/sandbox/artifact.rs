//! Loading of machine code: the one place that needs `unsafe`.

use bytes::Bytes;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::sandbox::sealed::Sealed;

/// Machine code that our own compiler made. Whoever makes one of these vouches for that; see [`load`](Self::load).
pub(crate) struct Artifact(Bytes);

impl Artifact {
    /// What a compiler process answered, over a pipe that nobody else has an end of. Such a process is a program of the
    /// operator's choice, most often this very one: no more and no less trusted than the compiler in our own process. Wasm is
    /// only read there, never executed.
    pub(super) fn of_compiler(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// What a cache entry holds whose authentication code was found right: we wrote these bytes under this name ourselves,
    /// after one of the other ways, since nobody else can read the key.
    pub(super) fn of_cache(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The component, ready to be linked.
    ///
    /// The code is mapped where the system has files that can be sealed: that costs half of what a copy into fresh pages
    /// does, only what is used of it is in memory, and the memories of guests begin as copies of the same pages. The file of
    /// the cache itself is never mapped: it can change after it was checked.
    ///
    /// # Errors
    /// When it was made for another engine; wasmtime looks at that itself.
    #[allow(unsafe_code)]
    pub(super) fn load(self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: both functions ask that the bytes be what `Engine::precompile_component` or `Component::serialize` returned,
        // unchanged. An `Artifact` is made in two places, each named above, and both hold such bytes only: a compiler
        // process sends the result of `precompile_component` through its own stdout, with its length; the cache stores the
        // result of `serialize`, and checks a keyed hash of it and of the entry's name before it makes an `Artifact`. What
        // an attacker can choose, the component, is never taken for one (`file::check_head`). `deserialize_file` asks that
        // the file not change while it is mapped, too: `Sealed` holds a copy of these very bytes, which the kernel lets
        // nobody change, and its path leads to it by our own descriptor.
        unsafe {
            let sealed = Sealed::new(&self.0).map_err(wasmtime::Error::from);
            let mapped = sealed.and_then(|sealed| Component::deserialize_file(engine, sealed.path()));
            // Without sealed files, without `/proc`, or where such files may not be executed. And an artifact that is none
            // of this engine's is refused once more, in words without a path.
            mapped.or_else(|_| Component::deserialize(engine, &self.0))
        }
    }
}
