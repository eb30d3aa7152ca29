//! What the commands `kflow-cat` and `kflow` do: print flow files, and look after spools.

pub mod cat;
pub mod spool;
