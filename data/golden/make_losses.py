#!/usr/bin/env python3
"""Writes reference cases of losses for values and of sample weights, computed by PyTorch in float64.

The files are those of make_golden.py, which says what they hold and how closely they can be compared, with these differences:
  y, y_val [n, outputs]          float64 values to predict, or 0 and 1 for labels; of cross-entropy int64 classes [n] as there
  w [n]                          weights of the training rows, if the case has any
  loss [updates]                 sum of (weight times row's loss) over the sum of weights in each batch; a row's loss is the mean over its
                                 outputs; with class weights the divisor is the sum of (weight times the label's class weight)
The case also has "loss" (cross_entropy, bce, mse, huber, mae), "delta" and "positive_weights".
The plateau schedule looks at the mean loss of the validation rows, without weights of any kind.
Where PyTorch has the mean as a loss of its own, the script holds the two against each other.

usage: make_losses.py OUT_DIR [SEED]        needs: torch, safetensors
"""
import json, sys, torch
from torch import nn
from torch.nn import functional as F
from safetensors.torch import save_file
from make_golden import OPT, SCHED, build, state

CW = [0.5, 2.0, 1.0, 4.0, 0.7]
# name, sizes, activation, batch norm, optimiser, schedule, stepped by, lr, n, batch, epochs, clip norm, loss, weighted, options of the loss
CASES = [
    ("mse_relu_sgd", [5, 7, 1], "relu", False, "sgd", "constant", "epoch", 0.05, 24, 4, 1, 0.0, "mse", False, {}),
    ("mse_bn_three_targets_adam", [17, 13, 3], "relu", True, "adam", "exponential", "epoch", 0.005, 43, 9, 3, 0.0, "mse", False, {}),
    ("mse_weighted_rmsprop", [7, 11, 5, 1], "silu", False, "rmsprop", "cosine", "update", 0.003, 41, 8, 2, 0.0, "mse", True, {}),
    ("huber_tanh_momentum", [6, 9, 8, 1], "tanh", False, "sgd_momentum", "step", "update", 0.05, 40, 7, 2, 0.0, "huber", False, dict(delta=0.5)),
    ("huber_bn_weighted_adamw", [11, 13, 7, 3], "gelu", True, "adamw", "onecycle", "update", 0.01, 61, 11, 2, 0.0, "huber", True, dict(delta=1.35)),
    ("huber_clip_nesterov_wd", [9, 14, 2], "elu", False, "sgd_nesterov_wd", "multistep", "epoch", 0.1, 37, 8, 11, 0.25, "huber", False, dict(delta=1.0)),
    ("mae_leaky_adam", [8, 15, 1], "leaky_relu", False, "adam", "constant", "epoch", 0.01, 39, 7, 2, 0.0, "mae", False, {}),
    ("mae_bn_weighted_rmsprop_momentum", [13, 10, 3], "relu", True, "rmsprop_momentum", "warm_cosine", "update", 0.003, 53, 10, 2, 0.0, "mae", True, {}),
    ("mae_sigmoid_plateau", [5, 9, 1], "sigmoid", False, "sgd_momentum", "plateau", "epoch", 0.3, 31, 10, 12, 0.0, "mae", False, {}),
    ("bce_relu_adam", [10, 12, 5], "relu", False, "adam", "constant", "epoch", 0.01, 47, 9, 2, 0.0, "bce", False, {}),
    ("bce_bn_positive_weights_adam_l2", [12, 17, 7, 4], "relu", True, "adam_l2", "cosine", "epoch", 0.01, 55, 11, 4, 0.0, "bce", False,
     dict(positive_weights=[3.0, 0.5, 1.0, 7.5])),
    ("bce_weighted_positive_weights_momentum", [7, 11, 3], "tanh", False, "sgd_momentum", "step", "update", 0.05, 38, 7, 2, 0.0, "bce", True,
     dict(positive_weights=[2.0, 5.0, 0.25])),
    ("bce_one_label_rprop", [6, 8, 1], "sigmoid", False, "rprop", "constant", "epoch", 0.01, 29, 29, 9, 0.0, "bce", False, {}),
    ("cross_entropy_weighted_adam", [8, 11, 4], "relu", False, "adam", "constant", "epoch", 0.01, 50, 9, 2, 0.0, "cross_entropy", True, {}),
    ("cross_entropy_bn_weighted_class_weights_adamw", [9, 13, 5], "leaky_relu", True, "adamw", "cosine", "update", 0.01, 58, 11, 2, 0.0,
     "cross_entropy", True, dict(class_weights=CW, label_smoothing=0.1)),
]

def vector(values): return None if values is None else torch.tensor(values, dtype=torch.float64)

def row_losses(loss, z, y, o):
    """The loss of each row."""
    if loss == "cross_entropy":
        return F.cross_entropy(z, y, weight=vector(o.get("class_weights")), label_smoothing=o.get("label_smoothing", 0.0), reduction="none")
    terms = dict(mse=lambda: F.mse_loss(z, y, reduction="none"), mae=lambda: F.l1_loss(z, y, reduction="none"),
                 huber=lambda: F.huber_loss(z, y, reduction="none", delta=o["delta"]),
                 bce=lambda: F.binary_cross_entropy_with_logits(z, y, reduction="none", pos_weight=vector(o.get("positive_weights"))))
    return terms[loss]().mean(1)

def objective(loss, z, y, w, o):
    """The mean over the rows that their weights give."""
    rows = row_losses(loss, z, y, o)
    cw = vector(o.get("class_weights"))
    divisor = w if cw is None else w * cw[y]
    return (w * rows).sum() / divisor.sum()

def built_in(loss, z, y, w, weighted, o):
    """PyTorch's own mean, where it has the same one."""
    each = w[:, None].expand_as(z)
    if loss == "mse": return F.mse_loss(z, y, weight=each)
    if loss == "mae": return F.l1_loss(z, y, weight=each)
    if weighted: return None
    return {"huber": lambda: nn.HuberLoss(delta=o["delta"])(z, y),
            "bce": lambda: nn.BCEWithLogitsLoss(pos_weight=vector(o.get("positive_weights")))(z, y)}[loss]()

def run(out, seed, case):
    name, sizes, act, bn, opt, sched, by, lr, n, batch, epochs, clip, loss, weighted, o = case
    g = torch.Generator().manual_seed(seed * 1000 + sum(map(ord, name)))
    torch.manual_seed(seed * 77 + len(name))
    m = build(sizes, act, bn)
    if bn:
        for mod in m:
            if isinstance(mod, nn.BatchNorm1d):
                with torch.no_grad():
                    mod.weight.uniform_(0.5, 1.5); mod.bias.uniform_(-0.5, 0.5)
    def rows(k):
        x = torch.randn(k, sizes[0], generator=g, dtype=torch.float64)
        if loss == "cross_entropy": return x, torch.randint(0, sizes[-1], (k,), generator=g)
        y = torch.randn(k, sizes[-1], generator=g, dtype=torch.float64)
        return x, (y > 0.4).double() if loss == "bce" else 1.5 * y
    (x, y), (xv, yv) = rows(n), rows(max(4, n // 4))
    w = torch.ones(n, dtype=torch.float64)
    t = {"x": x, "y": y, "x_val": xv, "y_val": yv, **{f"init.{k}": v for k, v in state(m).items()}}
    if weighted:
        # About every fifth row weighs nothing.
        w = (4 * torch.rand(n, generator=g, dtype=torch.float64) - 0.8).clamp(min=0.0)
        t["w"] = w
    per_epoch = -(-n // batch)
    cls, kw = OPT[opt]; op = cls(m.parameters(), lr=lr, **kw)
    s = SCHED[sched][0](op, epochs * per_epoch if by == "update" else epochs)
    losses, lrs = [], []
    for _ in range(epochs):
        for i in range(0, n, batch):
            part = slice(i, i + batch)
            op.zero_grad(); z = m(x[part]); l = objective(loss, z, y[part], w[part], o); l.backward()
            if loss != "cross_entropy":
                own = built_in(loss, z, y[part], w[part], weighted, o)
                assert own is None or abs(own.item() - l.item()) < 1e-14, (name, own, l)
            if not losses:
                t["logits0"] = z.detach().clone()
                t.update({f"grad0.{k}": p.grad.clone() for k, p in m.named_parameters()})
            if clip: nn.utils.clip_grad_norm_(m.parameters(), clip)
            lrs.append(op.param_groups[0]["lr"]); losses.append(l.item()); op.step()
            if len(losses) == 1: t.update({f"after1.{k}": v for k, v in state(m).items()})
            if s is not None and by == "update": s.step()
        if s is not None and by == "epoch":
            if sched == "plateau":
                m.eval()
                with torch.no_grad(): s.step(row_losses(loss, m(xv), yv, dict(delta=o.get("delta"))).mean().item())
                m.train()
            else: s.step()
    t.update({f"after.{k}": v for k, v in state(m).items()})
    m.eval()
    with torch.no_grad(): t["eval_logits"] = m(xv)
    t["loss"] = torch.tensor(losses, dtype=torch.float64); t["lr"] = torch.tensor(lrs, dtype=torch.float64)
    meta = dict(name=name, sizes=sizes, activation=act, batch_norm=bn, optimizer=dict(name=opt.split("_")[0], lr=lr, **kw),
                schedule=dict(by=by, **SCHED[sched][1]), batch=batch, epochs=epochs, clip_norm=clip, loss=loss, delta=o.get("delta"),
                positive_weights=o.get("positive_weights"), class_weights=o.get("class_weights"), label_smoothing=o.get("label_smoothing", 0.0),
                torch=torch.__version__.split("+")[0], seed=seed)
    save_file({k: v.contiguous() for k, v in t.items()}, f"{out}/{name}.safetensors", metadata={"case": json.dumps(meta)})
    print(f"{name}: {len(losses)} updates, loss {losses[0]:.6f} -> {losses[-1]:.6f}, lr {lrs[0]:.4g} -> {lrs[-1]:.4g}")

if __name__ == "__main__":
    out, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for c in CASES: run(out, seed, c)
