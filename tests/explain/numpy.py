#!/usr/bin/env python3
"""Runs the numpy scripts of `explain` for networks with every part: each computes and compares every number of a step.

usage: numpy.py PROGRAM     (needs numpy)
"""
import os
import subprocess
import sys
import tempfile

CASES = [
    "--widths 4,3 --batch-norm --dropout 0.2 --optimizer adamw --batch-size 2 --step 0,1,100",
    "--activation gelu --optimizer sgd --momentum 0.9 --nesterov --weight-decay 0.1 --clip-norm 0.1",
    "--activation silu --order activation_dropout --dropout 0.5 --optimizer rmsprop --momentum 0.5",
    "--activation elu --optimizer rprop --step 0,5 --label-smoothing 0.1 --class-weights 1,2,3",
    "--activation relu --widths 5,4,3 --optimizer adam --weight-decay 0.1 --clip-norm 100",
    "--task regression --classes 2 --loss huber --delta 0.5 --activation tanh",
    "--task regression --loss mae --activation sigmoid",
    "--task regression --loss mse --activation identity --batch-size 7",
    "--task multilabel --activation leaky_relu",
    "--members 3 --dropout 0.2 --optimizer adamw --clip-norm 0.1",
    "--embed piecewise --bins 3 --embed-width 2 --members 2 --optimizer rprop --step 0,5",
]


def main():
    program = os.path.abspath(sys.argv[1])
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            for grain in ["atomic", "fused"]:
                script = os.path.join(folder, "step.py")
                arguments = ["explain", *case.split(), "--grain", grain, "--numpy", script]
                subprocess.run([program, *arguments], check=True, stderr=subprocess.DEVNULL)
                done = subprocess.run([sys.executable, script], capture_output=True, text=True)
                failed += done.returncode != 0
                print(f"{grain:<6} {case}: {(done.stdout or done.stderr).strip().splitlines()[-1]}")
    print(f"{failed} failed")
    return failed > 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main())
