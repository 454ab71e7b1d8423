//! Numbers that stand in textbooks, and in the crate's own course, computed by its operations.

mod initial_weights;
mod mazur;
mod optimizers;
