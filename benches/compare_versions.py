#!/usr/bin/env python3
"""Two builds of chainrule in turn: seconds of a training epoch, and of evaluating 10,000 rows.

A pair is one run of either program. Its ratio is new / old: below 1 the new one is faster. A row has the medians, the geometric mean of
the pairs' ratios, and its 95 % interval (Student's t over their logarithms). Compare a program with itself first: that shows the noise.

    benches/compare_versions.py OLD NEW                      five networks, 1 and 2 threads, 7 pairs each
    benches/compare_versions.py OLD NEW --what eval          `eval` on the test images instead of training
    benches/compare_versions.py OLD OLD --networks baseline  the noise

Needs nothing but Python's own library. Nothing else may run meanwhile.
"""

import argparse
import json
import math
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

# The flags of `chainrule train`, and the epochs of a run.
NETWORKS = {
    "baseline": ("", 2),
    "final": ("--width 569 --depth 8 --dropout 0.333 --batch-size 122 --lr 0.002", 1),
    "big": ("--widths 1000,1000,1000 --dropout 0.2 --batch-size 128 --batch-norm false", 1),
    "small16": ("--batch-size 16", 1),
    "w50": ("--width 50", 8),
}
# Student's t, 97.5 %, by degrees of freedom.
STUDENT = {6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 12: 2.179, 14: 2.145, 16: 2.120, 18: 2.101, 20: 2.086, 24: 2.064, 30: 2.042}


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def train(program, network, threads):
    """Seconds of the fastest epoch, by the program's own clock: validation and reading do not count."""
    flags, epochs = NETWORKS[network]
    fixed = ["--json", "--quiet", "--test", "false", "--seed", "0", "--epochs", str(epochs), "--threads", str(threads)]
    with tempfile.TemporaryDirectory() as folder:
        summary = json.loads(run([program, "train", *fixed, "--out", f"{folder}/run", *flags.split()]))
    return min(summary["epoch_seconds"])


def evaluate(program, model, threads):
    """Seconds of the whole command."""
    start = time.perf_counter()
    run([program, "eval", "--json", "--model", model, "--threads", str(threads)])
    return time.perf_counter() - start


def compare(name, threads, measure, programs, pairs):
    old, new = [], []
    for pair in range(pairs + 1):
        # The order changes from pair to pair; the first pair warms up.
        order = programs[::-1] if pair % 2 else programs
        seconds = {which: measure(program) for which, program in order}
        if pair:
            old.append(seconds[0])
            new.append(seconds[1])
    logs = [math.log(b / a) for a, b in zip(old, new)]
    mean = statistics.mean(logs)
    degrees = max(d for d in STUDENT if d < pairs)
    half = STUDENT[degrees] * statistics.stdev(logs) / math.sqrt(pairs)
    low, high = math.exp(mean - half), math.exp(mean + half)
    print(
        f"{name:10} {threads:7} {statistics.median(old):9.4f} {statistics.median(new):9.4f}"
        f" {math.exp(mean):7.3f}   {low:.3f} to {high:.3f}",
        flush=True,
    )
    return mean


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--what", choices=["train", "eval"], default="train")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--pairs", type=int, default=7)
    args = parser.parse_args()
    if args.pairs <= min(STUDENT):
        parser.error(f"--pairs: expected at least {min(STUDENT) + 1}, found {args.pairs}")
    programs = list(enumerate(str(Path(p).resolve()) for p in (args.old, args.new)))
    print("network    threads       old       new   ratio   95 % interval")
    means = []
    with tempfile.TemporaryDirectory() as folder:
        for network in args.networks.split(","):
            model = f"{folder}/{network}"
            if args.what == "eval":
                flags = NETWORKS[network][0].split()
                run([programs[0][1], "train", "--quiet", "--test", "false", "--epochs", "1", "--out", model, *flags])
            for threads in map(int, args.threads.split(",")):
                if args.what == "eval":
                    means.append(compare(network, threads, lambda p: evaluate(p, model, threads), programs, args.pairs))
                else:
                    means.append(compare(network, threads, lambda p: train(p, network, threads), programs, args.pairs))
    print(f"geometric mean of all ratios: {math.exp(statistics.mean(means)):.3f}")


if __name__ == "__main__":
    main()
