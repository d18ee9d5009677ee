//! What a call wrote that is committed with the end of its delivery (S12).

use crate::delivery::PluginWrites;
use crate::handler::Fault;
use crate::key_value::KeyValueError;

/// What a plugin's call wrote to its key-value store and nobody sees yet, with the instance that it belongs to: it takes no
/// other call before the commit, and is thrown away if there is none.
pub(crate) struct Uncommitted {
    pub(crate) writes: PluginWrites,
    pub(crate) instance: Box<dyn HeldInstance>,
}

/// An instance that waits for a commit.
pub(crate) trait HeldInstance: Send {
    /// It goes on with what is now everybody's.
    fn committed(self: Box<Self>);

    /// It thinks that it wrote what it did not, and is gone. Says what the call came to.
    fn refused(self: Box<Self>, error: &KeyValueError) -> Fault;
}

impl std::fmt::Debug for Uncommitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Uncommitted").field(&self.writes).finish()
    }
}
