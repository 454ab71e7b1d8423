//! How fast this machine is, and how much of it the engine uses.
//!
//! [`products`] times matrix products against another implementation in one process, in turn; [`timing`] holds how two of them are
//! compared.

pub mod products;
pub mod timing;
