//! Text for people and from people: [`number`] rounds, [`table`] aligns columns, [`printable`] makes visible what a
//! terminal would obey, [`csv`] writes tables for other programs, [`file`] reads files of text.

pub mod csv;
pub mod file;
pub mod number;
pub mod printable;
pub mod table;
