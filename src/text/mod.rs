//! Text for people: [`number`] rounds, [`printable`] makes visible what a terminal would obey, `hex` writes bytes. For
//! the program, `table` aligns columns, and `csv` writes tables for other programs.

#[cfg(feature = "cli")]
pub mod csv;
mod hex;
pub mod number;
pub mod printable;
#[cfg(feature = "cli")]
pub mod table;

pub use hex::hex;
