//! Text for people: [`number`] rounds, [`table`] aligns columns, [`printable`] makes visible what a
//! terminal would obey, [`csv`] writes tables for other programs. `device_name` knows the names of files that are none
//! on Windows.

pub mod csv;
pub(crate) mod device_name;
pub mod number;
pub mod printable;
pub mod table;
