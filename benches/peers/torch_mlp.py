#!/usr/bin/env python3
"""PyTorch's side of the comparison: trains one of the networks on Fashion-MNIST, with all pixels in one tensor in memory.

Prints one JSON line: the seconds of every epoch, and the training loss of the last epoch, summed over its batches. A
last batch that is shorter than the others is left out. All constants are those of chainrule. Options that make PyTorch
faster are used (fused Adam, denormals flushed to zero, no DataLoader).

    torch_mlp.py --network final --threads 2 --epochs 6
    torch_mlp.py --network final --mode bf16
    torch_mlp.py --network big --device cuda
"""

import argparse
import contextlib
import gzip
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

SAMPLES, PIXELS, CLASSES = 60_000, 784, 10

# hidden widths, batch norm, dropout, batch size, learning rate
NETWORKS = {
    "baseline": ([500], True, 0.0, 100, 1e-3),
    "final": ([569, 488, 407, 326, 245, 164, 83], True, 0.333, 122, 2e-3),
    "big": ([1000, 1000, 1000], False, 0.2, 128, 1e-3),
    "small16": ([500], True, 0.0, 16, 1e-3),
    "w50": ([50], True, 0.0, 100, 1e-3),
    "w1000": ([1000], True, 0.0, 100, 1e-3),
    "depth8": (list(range(500, 0, -71))[:7], True, 0.0, 100, 1e-3),
    "depth32": (list(range(500, 0, -16))[:31], True, 0.0, 100, 1e-3),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="baseline")
    parser.add_argument("--mode", choices=["tensor", "bf16"], default="tensor", help="f32, or bf16 products by autocast")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    default = Path(__file__).resolve().parents[2] / "data" / "fashion-mnist"
    parser.add_argument("--data", type=Path, default=default, help="folder with the official gzip files")
    return parser.parse_args()


def load(folder):
    def numbers(name, header):
        return np.frombuffer(gzip.decompress((folder / name).read_bytes()), np.uint8, offset=header)

    pixels = numbers("train-images-idx3-ubyte.gz", 16).reshape(SAMPLES, PIXELS).astype(np.float32) / 255
    labels = numbers("train-labels-idx1-ubyte.gz", 8).astype(np.int64)
    return torch.from_numpy(pixels), torch.from_numpy(labels)


def build(hidden, batch_norm, dropout):
    """Linear, BatchNorm, Dropout and ReLU for every hidden layer, then Linear."""
    layers, inputs = [], PIXELS
    for width in hidden:
        layers.append(nn.Linear(inputs, width))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        layers.append(nn.ReLU())
        inputs = width
    layers.append(nn.Linear(inputs, CLASSES))
    return nn.Sequential(*layers)


def train_epoch(model, optimizer, pixels, labels, batch_size, autocast):
    """One pass in a new order. Returns the sum of the mean losses of the batches."""
    criterion, total = nn.CrossEntropyLoss(), torch.zeros((), device=pixels.device)
    order = torch.randperm(SAMPLES, device=pixels.device)
    for start in range(0, SAMPLES - batch_size + 1, batch_size):
        rows = order[start : start + batch_size]
        with autocast:
            loss = criterion(model(pixels[rows]), labels[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        total += loss.detach()
    return total.item()


def main():
    args = arguments()
    torch.set_flush_denormal(True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    hidden, batch_norm, dropout, batch_size, lr = NETWORKS[args.network]
    pixels, labels = load(args.data)
    pixels, labels = pixels.to(args.device), labels.to(args.device)
    model = build(hidden, batch_norm, dropout).to(args.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    autocast = contextlib.nullcontext()
    if args.mode == "bf16":
        autocast = torch.autocast(args.device, dtype=torch.bfloat16)
    seconds, loss_sum = [], None
    for _ in range(args.epochs):
        start = time.perf_counter()
        loss_sum = train_epoch(model, optimizer, pixels, labels, batch_size, autocast)
        seconds.append(time.perf_counter() - start)
    result = {
        "network": args.network,
        "mode": args.mode,
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
        "threads": args.threads,
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "epoch_seconds": seconds,
        "train_loss_sum": loss_sum,
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
