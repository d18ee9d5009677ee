//! Why a file is no plugin.

use crate::limits::LimitKind;
use crate::plugin::NeededGrant;
use crate::sandbox::compile::CompileError;

/// Why a component can't be loaded. Each message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The file has no bytes.
    #[error("the file is empty; build the plugin again")]
    Empty,
    /// The file is text, WebAssembly text or not.
    #[error("{0}")]
    Text(&'static str),
    /// The file is for another machine than ours.
    #[error("{0}")]
    Foreign(&'static str),
    /// The file is core WebAssembly, not a component.
    #[error(
        "this is a core module, not a component: build it for wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// The file ends too early.
    #[error("the component is cut off after {bytes} bytes: copy or build it again ({detail})")]
    Truncated {
        /// How long the file is.
        bytes: usize,
        /// What was being read.
        detail: String,
    },
    /// The file is a component by its first bytes, but not by the rest.
    #[error("the component is not valid: {0}; build it again, with wasm features that wasmtime 48 has")]
    Invalid(String),
    /// The component is larger than may be compiled.
    #[error("the component is larger than {limit} bytes (engine.max-component); strip it, or raise the limit")]
    FileTooLarge {
        /// The limit in force.
        limit: u64,
    },
    /// The compiler did not get through with the component.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The component is of another world than ours.
    #[error(
        "this component is no Palisade plugin: {0}; a plugin targets the world event-plugin or filter-plugin of \
         palisade:plugin@0.1.0"
    )]
    WrongWorld(String),
    /// The component is built for another version of the contract.
    #[error(
        "built for palisade:plugin@{wanted} ({interface}), this runtime offers {offered}: build it with the matching SDK, \
         or run a newer Palisade"
    )]
    Version {
        /// The interface that says so.
        interface: String,
        /// Its version.
        wanted: String,
        /// Ours.
        offered: &'static str,
    },
    /// The component imports what only a grant gives.
    #[error("it imports {interface}: {why}, or build the plugin without it")]
    NotGranted {
        /// The interface.
        interface: String,
        /// What is lacking.
        grant: NeededGrant,
        /// The same in words.
        why: String,
    },
    /// The component imports what this runtime could offer, but was built without.
    #[error("it imports {interface}: this runtime was built without the feature `{feature}`; build it with that")]
    WithoutFeature {
        /// The interface.
        interface: String,
        /// The feature of the crate that offers it.
        feature: &'static str,
    },
    /// The component imports an interface of a package of which another is offered.
    #[error("it imports {interface}; of that package Palisade offers only {offered}: build the plugin with that one")]
    OtherInterface {
        /// The interface.
        interface: String,
        /// The one that there is.
        offered: &'static str,
    },
    /// The component imports what nobody offers.
    #[error("it imports {0}, which Palisade does not offer; build the plugin without it")]
    UnknownImport(String),
    /// The component imports something of a known name with another type.
    #[error("it can't be linked: {0}; build it with the SDK of this version")]
    Unlinkable(String),
    /// The component has a memory that several threads may share.
    #[error("it has a shared memory, which no plugin may have: build it without the threads proposal")]
    SharedMemory,
    /// The component needs more from its first moment than it may have.
    #[error("it needs {}; its limit is {} ({kind})", kind.counted_above(*needed, *limit), kind.amount(*limit))]
    TooLarge {
        /// Which limit.
        kind: LimitKind,
        /// How much it needs.
        needed: u64,
        /// The limit in force.
        limit: u64,
    },
    /// One instance of the component needs more than there is for all of them.
    #[error(
        "each instance of it needs {memories} memories and {tables} tables, which is room for {needed} instances of common \
         plugins, and there is room for {max} in all (engine.max-instances): raise that, or build it with fewer"
    )]
    NoRoom {
        /// Memories, the GC heap counted as one.
        memories: u32,
        /// Tables.
        tables: u32,
        /// Of how many instances that takes the room.
        needed: u32,
        /// How many there may be.
        max: u32,
    },
    /// The component is beyond the measures of the engine, which no key changes.
    #[error("it is too large for the engine: {0}; build it with fewer globals, functions and instances")]
    Engine(String),
    /// A function of the component has a name that is too long to be shown when it traps.
    #[error("a function in it has a name of {bytes} bytes, and {limit} are the most: strip it (`wasm-tools strip`)")]
    LongName {
        /// How long it is.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}
