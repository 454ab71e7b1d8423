#!/usr/bin/env python3
"""Compares training by chainrule with training by PyTorch: whole processes, in turn, with the same data, network,
batches and number of threads.

Seconds per epoch are (wall time of a long run - wall time of a short run) / (difference in epochs). So start-up and
reading data cancel out, and everything that an epoch needs counts. A pair is one such figure of each side. Its ratio is
theirs / ours: above 1 ours is faster. The start-up time does not cancel out exactly, because PyTorch takes seconds that
vary. So the table also has the ratio by the two programs' own clocks (mean over the epochs of the long run). The
training losses of the long run's last epoch must agree; otherwise the two did not do the same work.

    cargo build --release
    benches/peers/compare_torch.py --python VENV/bin/python --threads 1 --csv torch.csv
    benches/peers/compare_torch.py --python VENV/bin/python --networks final,big --threads 2 --pairs 11

Needs only Python's standard library; the Python of --python needs torch and numpy. Nothing else may run at the same
time. OpenMP's threads wait for each other after every operation, so on a busy machine PyTorch is up to 20 times slower
on several threads.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# The largest relative difference of losses. The two sides do the same work with different random numbers.
LOSS_TOLERANCE = 0.05

# The flags of `chainrule train` that give torch_mlp.py's networks, and the epochs of the short and the long run.
NETWORKS = {
    "baseline": ("", 1, 5),
    "final": ("--width 569 --depth 8 --dropout 0.333 --batch-size 122 --lr 0.002", 1, 3),
    "big": ("--widths 1000,1000,1000 --dropout 0.2 --batch-size 128 --batch-norm false", 1, 3),
    "small16": ("--batch-size 16", 1, 4),
    "w50": ("--width 50", 2, 14),
    # More configurations of the study. With baseline, small16, w50 and final they are a sample of what it trains.
    "w1000": ("--width 1000", 1, 3),
    "depth8": ("--depth 8", 1, 3),
    "depth32": ("--depth 32", 1, 3),
}
FIVE = "baseline,final,big,small16,w50"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="a Python that has torch")
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "chainrule")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "fashion-mnist")
    parser.add_argument("--networks", default=FIVE, help=f"comma-separated, of {', '.join(NETWORKS)}")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--csv", type=Path, help="write every pair to this file")
    args = parser.parse_args()
    args.networks = args.networks.split(",")
    if unknown := set(args.networks) - set(NETWORKS):
        parser.error(f"--networks: expected some of {', '.join(NETWORKS)}, found {', '.join(sorted(unknown))}")
    if args.pairs < 1 or args.threads < 1:
        parser.error("--pairs and --threads: expected at least 1")
    return args


def timed(command):
    """Wall seconds of a whole process, and its standard output."""
    # Environment variables must not affect only one side.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MKL_", "KMP_", "CHAINRULE_", "RAYON_"))}
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}: {' '.join(map(str, command))}")
    return seconds, done.stdout


def ours(args, network, epochs, seed):
    """Wall seconds, seconds per epoch by its own clock, and the last epoch's summed training loss."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [args.binary, "train", "--validation", "0", "--drop-last", "--test", "false", "--json", "-q"]
        command += ["--data", args.data, "--out", run, "--precision", args.precision]
        command += ["--threads", str(args.threads), "--epochs", str(epochs), "--seed", str(seed), *NETWORKS[network][0].split()]
        seconds, _ = timed(command)
        metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return seconds, statistics.fmean(epoch["train_seconds"] for epoch in metrics), metrics[-1]["train_loss_sum"]


def theirs(args, network, epochs, seed):
    """As `ours`, for PyTorch."""
    mode = {"f32": "tensor", "bf16": "bf16"}[args.precision]
    command = [args.python, HERE / "torch_mlp.py", "--network", network, "--mode", mode, "--data", args.data]
    command += ["--threads", str(args.threads), "--epochs", str(epochs), "--seed", str(seed)]
    seconds, printed = timed(command)
    result = json.loads(printed)
    return seconds, statistics.fmean(result["epoch_seconds"]), result["train_loss_sum"]


def pair(args, network, seed):
    """Seconds per epoch and final loss of both sides, from four runs in turn."""
    _, few, many = NETWORKS[network]
    short = [side(args, network, few, seed)[0] for side in (ours, theirs)]
    long = [side(args, network, many, seed) for side in (ours, theirs)]
    epoch = [(seconds - before) / (many - few) for (seconds, _, _), before in zip(long, short)]
    return {
        "network": network,
        "precision": args.precision,
        "threads": args.threads,
        "pair": seed,
        "ours_epoch_seconds": epoch[0],
        "theirs_epoch_seconds": epoch[1],
        "ratio": epoch[1] / epoch[0],
        "ours_own_clock": long[0][1],
        "theirs_own_clock": long[1][1],
        "own_clock_ratio": long[1][1] / long[0][1],
        "ours_train_loss_sum": long[0][2],
        "theirs_train_loss_sum": long[1][2],
    }


def summarise(network, pairs):
    """Prints a line about a network. Returns its median ratio and whether the losses agree."""
    def median(key):
        return statistics.median(p[key] for p in pairs)

    ratios = [p["ratio"] for p in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    losses = median("ours_train_loss_sum"), median("theirs_train_loss_sum")
    off = losses[0] / losses[1] - 1
    # False for NaN, too.
    agree = abs(off) <= LOSS_TOLERANCE
    print(
        f"{network:<10} {median('ours_epoch_seconds'):>9.3f} {median('theirs_epoch_seconds'):>9.3f}"
        f" {middle:>7.3f} {low:>7.3f} {high:>7.3f} {median('own_clock_ratio'):>10.3f} {losses[0]:>10.2f} {losses[1]:>10.2f} {off:>+7.1%}"
        f"{'' if agree else '  <- losses do not agree'}",
        flush=True,
    )
    return middle, median("own_clock_ratio"), agree


def main():
    args = arguments()
    rows, medians, by_clock, agreed = [], [], [], True
    print(f"{args.precision}, {args.threads} thread(s), {args.pairs} pairs; ratios theirs / ours\n")
    print(
        f"{'network':<10} {'ours s':>9} {'theirs s':>9} {'ratio':>7} {'25 %':>7} {'75 %':>7} {'own clocks':>10}"
        f" {'our loss':>10} {'their loss':>10} {'off':>7}",
        flush=True,
    )
    for network in args.networks:
        pairs = []
        for seed in range(args.pairs):
            print(f"{network}: pair {seed + 1} of {args.pairs}", file=sys.stderr, flush=True)
            pairs.append(pair(args, network, seed))
            rows.append(pairs[-1])
            if args.csv:
                with args.csv.open("w", newline="") as file:
                    writer = csv.DictWriter(file, rows[0])
                    writer.writeheader()
                    writer.writerows(rows)
        median, clock, agree = summarise(network, pairs)
        medians.append(median)
        by_clock.append(clock)
        agreed &= agree
    print(f"\ngeometric mean of the medians: {statistics.geometric_mean(medians):.3f}, by their own clocks {statistics.geometric_mean(by_clock):.3f}")
    if not agreed:
        sys.exit(f"final training losses differ by more than {LOSS_TOLERANCE:.0%}: not the same work")


if __name__ == "__main__":
    main()
