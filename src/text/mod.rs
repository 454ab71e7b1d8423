//! Text for people: [`number`] rounds, [`printable`] makes visible what a terminal would obey, `hex` writes bytes. For
//! the program, `table` aligns columns, and `csv` writes tables for other programs; `escape` is for pages.

#[cfg(feature = "cli")]
pub mod csv;
#[cfg(feature = "cli")]
pub mod escape;
mod hex;
pub mod number;
pub mod printable;
#[cfg(feature = "cli")]
pub mod table;

pub use hex::hex;
