//! The mathematics: each operation's forward with its backward beside it, as plain functions over slices and views.
//!
//! The [course](crate::course) derives them at more length, in an order that can be read from top to bottom.
//!
//! # Conventions
//!
//! * `n` is the number of samples (rows of a batch); a layer has `in` inputs and `out` outputs.
//! * Matrices are row-major, `[n, features]`.
//! * A gradient has the tensor's name with a `d` in front: `dy` is `$\partial L / \partial y$`, for a scalar `$L$`.
//! * Every backward is the chain rule for one operation `$y = f(x)$`:
//!
//! ```math
//! \frac{\partial L}{\partial x_j} = \sum_i \frac{\partial L}{\partial y_i} \frac{\partial y_i}{\partial x_j}
//! ```
//!
//! * Functions panic if lengths do not fit: callers build the buffers from one checked description of the network.
//!
//! # The operations
//!
//! | module | forward |
//! |---|---|
//! | [`linear`] | `$Y = X W^\top + \mathbf{1} b^\top$` |
//! | [`feature_linear`] | `$Y_j = e_j W_j^\top + \mathbf{1} b_j^\top$`, each feature j by itself |
//! | [`member_scale`] | `$W_m = W \circ \mathbf{1} r_m^\top$`, a member's scale of its inputs |
//! | [`batch_norm`] | `$y = \gamma\,(x - \mu)/\sqrt{\sigma^2 + \varepsilon} + \beta$`, per column |
//! | [`dropout`] | `$y = x\,m/(1-p)$`, `$m$` a random mask |
//! | [`activation`] | relu, leaky_relu, sigmoid, tanh, gelu, silu, elu, identity |
//! | [`loss`] | cross-entropy, binary cross-entropy, mean squared error, Huber's loss, mean absolute error |
//!
//! [`average`] is the prediction of an ensemble of members.
//!
//! [`reduce`] holds the sums that they share, each with one fixed order. `gradient.rs` holds the central differences
//! that their tests compare with.

pub mod activation;
pub mod average;
pub mod batch_norm;
pub mod dropout;
pub mod feature_linear;
pub mod linear;
pub mod loss;
pub mod member_scale;
pub mod reduce;

#[cfg(test)]
mod gradient;
