//! Text for people: [`number`] rounds, [`table`] aligns columns, [`printable`] makes visible what a
//! terminal would obey, [`csv`] writes tables for other programs.

pub mod csv;
pub mod number;
pub mod printable;
pub mod table;
