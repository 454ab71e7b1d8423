//! Text for people: [`number`] rounds, [`table`] aligns columns.

pub mod number;
pub mod table;
