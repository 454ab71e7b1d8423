#!/usr/bin/env python3
"""Writes reference cases of ensembles and embedded features, computed by PyTorch in float64.

The files are those of make_golden.py, with two more keys in the case: "members", and "embedding" with the "spans" of the
features' inputs and their "width", or null. What comes before the first layer has the names stem.embedding.<feature>.weight,
stem.embedding.<feature>.bias and stem.scale; the last Linear has a dimension in front, for the members.
logits0 is [members * batch, classes], member by member; the loss is the mean of the members' losses;
eval_logits is the logarithm of the members' mean probabilities, [n_val, classes].
No case has a batch norm: behind it the gradient of an embedding's bias is 0 in exact arithmetic, as that of a Linear's is.

usage: make_members.py OUT_DIR [SEED]        needs: torch, safetensors
"""
import json, sys, torch
from torch import nn
from safetensors.torch import save_file
from make_golden import ACT, OPT, state

# name, sizes, activation, batch norm, optimiser, lr, n, batch, epochs, clip norm, members, spans, width
CASES = [
    ("members_relu_adam", [6, 11, 4], "relu", False, "adam", 0.01, 40, 7, 2, 0.0, 3, None, 0),
    ("members_embedding_silu_adam", [9, 13, 7, 3], "silu", False, "adam", 0.01, 50, 9, 2, 0.0, 4, [[0, 3], [4, 8]], 5),
    ("embedding_gelu_nesterov_clip", [12, 10, 5], "gelu", False, "sgd_nesterov_wd", 0.1, 44, 8, 2, 0.5, 1, [[1, 2], [2, 7], [7, 12]], 4),
    ("embedding_tanh_adamw", [7, 12, 3], "tanh", False, "adamw", 0.01, 45, 10, 2, 0.0, 1, [[0, 6]], 3),
    ("members_embedding_linear_momentum", [5, 4], "identity", False, "sgd_momentum", 0.1, 41, 8, 2, 0.3, 5, [[1, 4]], 3),
]

class Stem(nn.Module):
    def __init__(self, inputs, members, spans, width):
        super().__init__()
        self.spans, self.inputs, self.members = spans or [], inputs, members
        if spans: self.embedding = nn.ModuleList(nn.Linear(b - a, width) for a, b in spans)
        self.width = inputs + sum(width - (b - a) for a, b in self.spans)
        if members > 1: self.scale = nn.Parameter(torch.randint(0, 2, (members, self.width)) * 2.0 - 1.0)

    def forward(self, x):
        parts, end = [], 0
        for i, (a, b) in enumerate(self.spans):
            parts += [x[:, end:a], self.embedding[i](x[:, a:b])]
            end = b
        x = torch.cat(parts + [x[:, end:]], 1)
        # [members, batch, width], as rows of one batch
        return x if self.members == 1 else (x[None] * self.scale[:, None]).flatten(0, 1)

class Heads(nn.Module):
    """One Linear a member, each for its share of the rows."""
    def __init__(self, inputs, outputs, members):
        super().__init__()
        heads = [nn.Linear(inputs, outputs) for _ in range(members)]
        self.weight = nn.Parameter(torch.stack([h.weight.detach() for h in heads]))
        self.bias = nn.Parameter(torch.stack([h.bias.detach() for h in heads]))

    def forward(self, x):
        x = x.unflatten(0, (len(self.weight), -1))
        return (torch.einsum("mni,moi->mno", x, self.weight) + self.bias[:, None]).flatten(0, 1)

class Network(nn.Sequential):
    def __init__(self, sizes, act, bn, members, spans, width):
        stem = Stem(sizes[0], members, spans, width)
        sizes, ops = [stem.width] + sizes[1:], []
        for a, b in zip(sizes[:-2], sizes[1:-1]):
            ops += [nn.Linear(a, b)] + ([nn.BatchNorm1d(b)] if bn else []) + [ACT[act]()]
        ops.append(nn.Linear(*sizes[-2:]) if members == 1 else Heads(*sizes[-2:], members))
        super().__init__(*ops)
        self.add_module("stem", stem)

    def forward(self, x):
        x = self.stem(x)
        for name, module in self.named_children():
            if name != "stem": x = module(x)
        return x

def run(out, seed, case):
    name, sizes, act, bn, opt, lr, n, batch, epochs, clip, members, spans, width = case
    g = torch.Generator().manual_seed(seed * 1000 + sum(map(ord, name)))
    torch.manual_seed(seed * 77 + len(name))
    m = Network(sizes, act, bn, members, spans, width).double()
    rows = lambda k: (torch.randn(k, sizes[0], generator=g, dtype=torch.float64), torch.randint(0, sizes[-1], (k,), generator=g))
    (x, y), (xv, yv) = rows(n), rows(max(4, n // 4))
    t = {"x": x, "y": y, "x_val": xv, "y_val": yv, **{f"init.{k}": v for k, v in state(m).items()}}
    cls, kw = OPT[opt]; o = cls(m.parameters(), lr=lr, **kw)
    losses = []
    for _ in range(epochs):
        for i in range(0, n, batch):
            o.zero_grad(); z = m(x[i:i + batch])
            each = [nn.functional.cross_entropy(z, y[i:i + batch]) for z in z.chunk(members)]
            loss = torch.stack(each).mean(); loss.backward()
            if not losses:
                t["logits0"] = z.detach().clone()
                t.update({f"grad0.{k}": p.grad.clone() for k, p in m.named_parameters()})
            if clip: nn.utils.clip_grad_norm_(m.parameters(), clip)
            losses.append(loss.item()); o.step()
            if len(losses) == 1: t.update({f"after1.{k}": v for k, v in state(m).items()})
    t.update({f"after.{k}": v for k, v in state(m).items()})
    m.eval()
    with torch.no_grad(): t["eval_logits"] = m(xv).unflatten(0, (members, -1)).softmax(-1).mean(0).log() if members > 1 else m(xv)
    t["loss"] = torch.tensor(losses, dtype=torch.float64); t["lr"] = torch.full((len(losses),), lr, dtype=torch.float64)
    meta = dict(name=name, sizes=sizes, activation=act, batch_norm=bn, optimizer=dict(name=opt.split("_")[0], lr=lr, **kw),
                schedule=dict(by="epoch", name="constant"), batch=batch, epochs=epochs, label_smoothing=0.0, clip_norm=clip, class_weights=None,
                members=members, embedding=dict(spans=spans, width=width) if spans else None, torch=torch.__version__.split("+")[0], seed=seed)
    save_file({k: v.contiguous() for k, v in t.items()}, f"{out}/{name}.safetensors", metadata={"case": json.dumps(meta)})
    print(f"{name}: {len(losses)} updates, loss {losses[0]:.6f} -> {losses[-1]:.6f}")

if __name__ == "__main__":
    out, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for c in CASES: run(out, seed, c)
