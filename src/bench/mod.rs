//! How fast this machine is, and how much of it the engine uses.
//!
//! [`peak`] measures the machine itself: multiply-adds in registers, and the optimiser's memory traffic. [`products`]
//! times matrix products and another implementation of them. [`steps`] times whole training steps. Both compare their
//! times with the peak. [`timing`] explains how two implementations are compared.
//! With the feature `cuda`, `device` times products and steps on a GPU.

#[cfg(feature = "cuda")]
pub mod device;
pub mod peak;
pub mod products;
pub mod steps;
pub mod timing;
