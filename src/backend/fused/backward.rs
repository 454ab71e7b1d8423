//! The reverse: dY through activation, dropout and batch norm, then dX from the old weights, then dW.
//!
//! dW goes into the optimiser as it is made.

use std::ops::Range;

use super::buffer::Buffer;
use super::engine::{Fused, PanelKernels};
use super::input::{PANELS_A_LINE, prefetch_pixels};
use super::layout::{by_columns, from_panels, panels, to_panels};
use super::products::BlockProducts;
use super::rounded::{Rounded, SharedCopies};
use super::saved::{FusedSaved, SavedValues};
use super::update::apply;
use crate::backend::{Block, Hidden, Input, Mode, Order, Sink, State};
use crate::gemm::{ForwardProduct, Operand, PANEL, Pair, PanelProducts, WeightTile};
use crate::ops::activation::activation_backward;
use crate::ops::batch_norm::batch_norm_backward;
use crate::ops::dropout;
use crate::ops::member_scale::{self, join_lanes, scale_panel_backward};
use crate::ops::reduce;
use crate::optim::StepRule;
use crate::threads::team::Member;
use crate::threads::{Countdown, SharedSlice};

/// Up to this many rows a member keeps its columns of W in the backward.
///
/// On two threads a step of 16 rows gained an eighth by it, one of 100 rows lost a twentieth.
const FEW_ROWS: usize = 32;

/// Panels of outputs whose part of a scale's gradient one member sums.
const GROUP: usize = member_scale::GROUP / PANEL;

/// What all members share during a backward. Every activation is in panels of `rows` rows.
struct BackwardPass<'a> {
    block: &'a Block,
    rows: usize,
    products: BackwardProducts<'a>,
    dy: SharedSlice<'a>,
    dx: Option<SharedSlice<'a>>,
    saved: &'a SavedValues,
    lanes: SharedSlice<'a>,
    /// Members that have not yet computed their part of dW.
    at_work: Countdown,
    params: SharedSlice<'a>,
    grads: SharedSlice<'a>,
    m: SharedSlice<'a>,
    v: SharedSlice<'a>,
    mode: Mode,
    /// The pixels of the next batch, if this is the first block.
    ahead: Option<Ahead<'a>>,
    /// Whether gradients are added to those that are stored.
    adds: bool,
    /// The optimiser's rule; without it gradients are stored.
    rule: Option<StepRule<f32>>,
}

/// Samples that the next batch will take.
#[derive(Clone, Copy)]
struct Ahead<'a> {
    data: &'a [u8],
    rows: &'a [u32],
}

/// What the two products multiply.
#[derive(Clone, Copy)]
struct BackwardOperands<'a, E> {
    products: BlockProducts<E>,
    /// X, for sums over rows; the members only read it.
    x: SharedSlice<'a, E>,
    /// dY, for sums over its columns.
    dy_along_columns: SharedSlice<'a, E>,
    /// dY, for sums over its rows.
    dy_along_rows: SharedSlice<'a, E>,
}

enum BackwardProducts<'a> {
    F32(BackwardOperands<'a, f32>),
    /// With dY in bf16, to be made.
    Bf16(BackwardOperands<'a, Pair>, SharedCopies<'a>),
}

impl<'a> BackwardProducts<'a> {
    fn new(
        kernels: &PanelKernels,
        (block, rows): (&Block, usize),
        x: &'a Buffer,
        dy: SharedSlice<'a>,
        rounded: &'a mut Rounded,
    ) -> Self {
        match *kernels {
            PanelKernels::F32(kernel) => BackwardProducts::F32(BackwardOperands {
                products: block.products(kernel, rows),
                x: SharedSlice::read_only(x),
                dy_along_columns: dy,
                dy_along_rows: dy,
            }),
            PanelKernels::Bf16(kernel) => {
                let copies = rounded.dy.shared();
                let operands = BackwardOperands {
                    products: block.products(kernel, rows),
                    x: rounded.x.read_only().along_rows,
                    dy_along_columns: copies.along_columns,
                    dy_along_rows: copies.along_rows,
                };
                BackwardProducts::Bf16(operands, copies)
            }
        }
    }
}

impl Fused {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward(
        &self,
        block: &Block,
        x: Input<'_, Buffer, f32>,
        dy: &mut Buffer,
        saved: &mut FusedSaved,
        state: &mut State<Buffer>,
        mut dx: Option<&mut Buffer>,
        mode: Mode,
        sink: Sink<'_>,
    ) {
        let team = self.team();
        let rows = x.rows();
        let outputs = block.outputs;
        if block.is_output() {
            // The gradient of the logits is row-major; their own room is free by now.
            let panels = &mut saved.values.pre[..rows * panels(outputs) * PANEL];
            to_panels(panels, &dy[..rows * outputs], outputs, 0);
            dy[..panels.len()].copy_from_slice(panels);
        }
        let FusedSaved {
            values,
            rounded,
            lanes,
            dx: dx_panels,
        } = saved;
        let dy = SharedSlice::new(dy);
        // The caller's gradient is row-major. Its panels need a room of their own, if it is wanted.
        let first_dx = if block.is_first() { dx.take() } else { None };
        let width = panels(block.inputs) * PANEL;
        if first_dx.is_some() && dx_panels.len() < rows * width {
            *dx_panels = Buffer::zeros(rows * width);
        }
        let dx = match first_dx {
            Some(_) => Some(&mut *dx_panels),
            None => dx,
        };
        let ahead = match x {
            Input::Pixels {
                data, next: rows, ..
            } if block.is_first() => Some(Ahead { data, rows }),
            _ => None,
        };
        let x = match x {
            Input::Values { buf, .. } if !block.is_first() => buf,
            _ => &values.input,
        };
        let products = BackwardProducts::new(&self.kernels, (block, rows), x, dy, rounded);
        let pass = BackwardPass {
            block,
            rows,
            products,
            dy,
            dx: dx.map(|dx| SharedSlice::new(dx)),
            saved: values,
            lanes: SharedSlice::new(lanes),
            at_work: Countdown::new(team.size()),
            params: SharedSlice::new(&mut state.params),
            grads: SharedSlice::new(&mut state.grads),
            m: SharedSlice::new(&mut state.m),
            v: SharedSlice::new(&mut state.v),
            mode,
            ahead,
            adds: sink.adds(),
            rule: match sink {
                Sink::Store | Sink::Add => None,
                Sink::Update {
                    optimizer, step, ..
                } => Some(optimizer.at(step)),
            },
        };
        team.run(|member| pass.run(member));
        if let Some(dx) = first_dx {
            let inputs = block.inputs;
            from_panels(&mut dx[..rows * inputs], &dx_panels[..rows * width], inputs);
        }
    }
}

impl BackwardPass<'_> {
    fn run(&self, member: Member<'_>) {
        let own = member.share(panels(self.block.outputs));
        // Without an epilogue dY is as the caller gave it, and all members may read it at once.
        let epilogue = self.block.hidden();
        if let Some(hidden) = epilogue {
            (own.clone()).for_each(|panel| self.epilogue_backward(hidden, panel));
        }
        match &self.products {
            BackwardProducts::F32(operands) => {
                if epilogue.is_some() {
                    member.barrier();
                }
                self.multiply(member, operands);
            }
            BackwardProducts::Bf16(operands, dy) => {
                for panel in own.clone() {
                    // SAFETY: panels of this member alone.
                    unsafe { dy.round(panel, self.dy.read(self.part(panel))) };
                }
                member.barrier();
                self.multiply(member, operands);
            }
        }
        own.for_each(|panel| self.vectors(panel));
    }

    /// Both products, once all of dY is complete.
    fn multiply<E: Operand>(&self, member: Member<'_>, operands: &BackwardOperands<'_, E>)
    where
        PanelProducts<E>: ForwardProduct<E>,
    {
        let by_inputs = self.by_inputs(&member);
        if let Some(dx) = self.dx {
            let w = match self.block.scale {
                Some(_) => SharedSlice::read_only(&self.saved.scaled),
                None => self.params.within(self.block.linear.weight.clone()),
            };
            let inputs = member.share(panels(self.block.inputs));
            let dy = operands.dy_along_columns;
            // SAFETY: dY is complete; these panels of dX are this member's. Of W a member reads here the columns of its
            // inputs. It changes W below, either after a barrier or in the same columns alone.
            unsafe { operands.products.input_gradient(dy, w, dx, inputs) };
            if self.rule.is_some() && !by_inputs {
                // Every member has computed its dX with the old weights; now they may change.
                member.barrier();
            }
        }
        self.weights(operands, member, by_inputs);
        // The last member to come here finds the sums of all, and no one has to wait.
        if let Some(scale) = &self.block.scale
            && self.at_work.is_last()
        {
            self.scale(scale);
        }
    }

    /// Where a panel lies.
    fn part(&self, panel: usize) -> Range<usize> {
        panel * self.rows * PANEL..(panel + 1) * self.rows * PANEL
    }

    /// A panel of dY through what follows the product: from the block's output back to the product's.
    fn epilogue_backward(&self, hidden: &Hidden, panel: usize) {
        let (block, saved) = (self.block, self.saved);
        let part = self.part(panel);
        // SAFETY: a panel of this member alone.
        let dy = unsafe { self.dy.part(part.clone()) };
        let kind = hidden.activation;
        let pre = &saved.pre[part.clone()];
        let dropped = block.mask(self.mode).is_some();
        let factors = dropped.then(|| &saved.mask[part.clone()]);
        match (hidden.order, factors) {
            (Order::DropoutActivation, Some(factors)) => {
                activation_backward(kind, dy, pre, &saved.out[part.clone()]);
                dropout::multiply(dy, factors);
            }
            (Order::ActivationDropout, Some(factors)) => {
                dropout::multiply(dy, factors);
                activation_backward(kind, dy, pre, &saved.activated[part.clone()]);
            }
            (_, None) => activation_backward(kind, dy, pre, &saved.out[part.clone()]),
        }
        if let Some(bn) = &hidden.batch_norm {
            let at = |slice: &Range<usize>| {
                let start = slice.start + panel * PANEL;
                start..start + PANEL
            };
            // SAFETY: a panel of this member alone; parameters are only read before the barriers.
            unsafe {
                batch_norm_backward(
                    dy,
                    self.grads.part(at(&bn.gamma)),
                    self.grads.part(at(&bn.beta)),
                    &saved.x_hat[part],
                    &saved.inv_std[panel * PANEL..(panel + 1) * PANEL],
                    self.params.read(at(&bn.gamma)),
                );
            }
        }
    }

    /// Whether the members divide dW by its panels of inputs, else by those of outputs.
    ///
    /// With few rows a step is mostly the reading and writing of weights.
    /// Then a member has the columns of W that it multiplies in the forward, which its caches may still hold.
    /// With many rows a member has some panels of X with all outputs, and does not need the others' panels any more.
    fn by_inputs(&self, member: &Member<'_>) -> bool {
        let (inputs, outputs) = (panels(self.block.inputs), panels(self.block.outputs));
        let few_rows = self.rows <= FEW_ROWS && by_columns(outputs, member);
        !few_rows && inputs > outputs
    }

    /// `dW = dYᵀ X`, each tile used up at once.
    fn weights<E: Operand>(
        &self,
        operands: &BackwardOperands<'_, E>,
        member: Member<'_>,
        by_inputs: bool,
    ) where
        PanelProducts<E>: ForwardProduct<E>,
    {
        let (inputs, outputs) = (panels(self.block.inputs), panels(self.block.outputs));
        let (inputs, outputs) = match by_inputs {
            true => (member.share(inputs), 0..outputs),
            false => (0..inputs, self.own_outputs(outputs, member)),
        };
        let weight = self.block.linear.weight.start;
        // What a tile is used with comes from beyond the second-level cache.
        let used = match (&self.rule, &self.block.scale, self.adds) {
            (Some(_), ..) => Some([self.params, self.m, self.v]),
            (None, Some(_), _) => Some([self.grads, self.params, self.params]),
            (None, None, true) => Some([self.grads; 3]),
            (None, None, false) => None,
        };
        let prefetch = used.map(|used| used.map(|buffer| buffer.at(weight).cast_const()));
        let converts = member.share(panels(self.block.inputs));
        let last = outputs.end;
        let (x, dy) = (operands.x, operands.dy_along_rows);
        let consume = |tile: WeightTile<'_>| {
            if tile.output + 1 == last && converts.contains(&tile.input) {
                self.prefetch_next_pixels(tile.input);
            }
            let start = weight + tile.offset;
            let place = start..start + tile.gradient.len();
            match &self.block.scale {
                Some(scale) => self.unscale(scale, place.clone(), tile),
                None if self.rule.is_some() && !self.adds => {
                    self.apply(place, tile.gradient);
                    return;
                }
                // SAFETY: weights that are this member's alone.
                None => self.store(unsafe { self.grads.part(place.clone()) }, tile.gradient),
            }
            // SAFETY: as above.
            self.apply(place.clone(), unsafe { self.grads.part(place) });
        };
        // SAFETY: X and dY are complete, and no member writes them now.
        unsafe {
            let products = operands.products;
            products.weight_gradient(x, dy, [inputs, outputs], prefetch, consume);
        }
    }

    /// A member's part of these panels of outputs; with a scale whole groups.
    fn own_outputs(&self, panels: usize, member: Member<'_>) -> Range<usize> {
        if self.block.scale.is_none() {
            return member.share(panels);
        }
        let groups = member.share(panels.div_ceil(GROUP));
        groups.start * GROUP..panels.min(groups.end * GROUP)
    }

    /// From a tile of the scaled W's gradient to W's, and to the sums of the scale's.
    fn unscale(&self, scale: &Range<usize>, place: Range<usize>, tile: WeightTile<'_>) {
        let first = tile.input * PANEL;
        let (start, count) = (scale.start + first, tile.gradient.len() / PANEL);
        let group = tile.output / GROUP * panels(self.block.inputs) * PANEL;
        let lanes = (group + first) * PANEL..(group + first + count) * PANEL;
        // SAFETY: weights and lanes that are this member's alone; parameters are only read.
        let (dw, lanes, w, r) = unsafe {
            (
                self.grads.part(place.clone()),
                self.lanes.part(lanes),
                self.params.read(place),
                self.params.read(start..start + count),
            )
        };
        if !self.adds {
            dw.fill(0.0);
        }
        if tile.output.is_multiple_of(GROUP) {
            lanes.fill(0.0);
        }
        scale_panel_backward([dw, lanes], tile.gradient, w, r);
    }

    /// The gradient of the scale, from the sums of all groups.
    fn scale(&self, scale: &Range<usize>) {
        let inputs = panels(self.block.inputs) * PANEL;
        let groups = panels(self.block.outputs).div_ceil(GROUP);
        // SAFETY: all other members have written their lanes, and leave the scale alone.
        let (dr, lanes) = unsafe {
            let lanes = self.lanes.read(0..groups * inputs * PANEL);
            (self.grads.part(scale.clone()), lanes)
        };
        join_lanes(dr, lanes, inputs);
    }

    /// Asks for the next batch's pixels of a panel of inputs, which this member will convert.
    ///
    /// Samples lie anywhere in memory, and it takes them from 100 cycles to 1000 to come.
    fn prefetch_next_pixels(&self, input: usize) {
        let first = input.is_multiple_of(PANELS_A_LINE);
        let Some(Ahead { data, rows }) = self.ahead.filter(|_| first) else {
            return;
        };
        for &row in rows {
            let pixel = row as usize * self.block.inputs + input * PANEL;
            prefetch_pixels(&data[pixel..]);
        }
    }

    /// Bias, γ and β of a panel.
    fn vectors(&self, panel: usize) {
        let bias = self.block.linear.bias.start + panel * PANEL;
        // SAFETY: panels of this member alone; dY is only read.
        let (db, dy) = unsafe {
            let db = self.grads.part(bias..bias + PANEL);
            (db, self.dy.read(self.part(panel)))
        };
        let mut sums = [0.0; PANEL];
        reduce::add_rows(dy, &mut sums);
        self.store(db, &sums);
        if self.rule.is_none() {
            return;
        }
        for vector in self.block.vectors() {
            let start = vector.start + panel * PANEL;
            let place = start..start + PANEL;
            // SAFETY: as above, and written before by this member.
            let g = unsafe { self.grads.part(place.clone()) };
            self.apply(place, g);
        }
    }

    /// Keeps a gradient, or adds it to what is there.
    fn store(&self, to: &mut [f32], gradient: &[f32]) {
        match self.adds {
            true => reduce::add_rows(gradient, to),
            false => to.copy_from_slice(gradient),
        }
    }

    /// The optimiser's step for these parameters, if there is a rule.
    fn apply(&self, place: Range<usize>, g: &[f32]) {
        let Some(rule) = &self.rule else { return };
        // SAFETY: parameters of this member alone.
        let (w, m, v) = unsafe {
            (
                self.params.part(place.clone()),
                self.m.part(place.clone()),
                self.v.part(place),
            )
        };
        apply(rule, w, g, m, v);
    }
}
