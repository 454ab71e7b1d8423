#!/usr/bin/env python3
"""Kills a long training again and again, at random moments with several checkpoints in between, until it is done, and
compares what it leaves with what an undisturbed training leaves.

usage: resume_after_kills.py PROGRAM WORKDIR [--resumes N]

Takes some 20 minutes for the 30 resumes that are asked for by default: a run writes a checkpoint every 10 s. Both
trainings run at the same time. Exit code 1 if the outcomes differ, or if fewer resumes continued from a checkpoint.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time

from outcome import digest, lines, run

EPOCH = 0.3  # Seconds, about.


def write_data(path):
    """Samples of four classes, of which the network below learns an epoch in about 0.3 s."""
    generator = random.Random(1)
    with open(path, "w") as file:
        for _ in range(6000):
            label = generator.randrange(4)
            values = (generator.gauss(label == column, 2) for column in range(32))
            file.write(",".join(f"{value:.3f}" for value in values) + f",{label}\n")


def epochs_at_checkpoint(folder):
    """The epochs that the last checkpoint of a run has, None without one."""
    try:
        with open(folder + "/checkpoint.safetensors", "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        return json.loads(header["__metadata__"]["chainrule"])["progress"]["epoch"]
    except FileNotFoundError:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("work")
    parser.add_argument("--resumes", type=int, default=30)
    given = parser.parse_args()
    program, work = os.path.abspath(given.program), os.path.abspath(given.work)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    os.chdir(work)
    write_data("data.csv")
    # A life of 12 to 35 s gets about 18 s further.
    epochs = str(int(given.resumes * 1.2 * 18 / EPOCH))
    options = ["--data", "data.csv", "--epochs", epochs, "--width", "600", "--depth", "4", "--dropout", "0.2", "--threads", "1", "--quiet"]
    reference = subprocess.Popen([program, "train", *options, "--out", "reference", "--save", "reference.st"])
    command = [program, "train", *options, "--out", "run", "--save", "run.st"]
    chance = random.Random(2)
    continued = kills = 0
    crossed = []
    while True:
        before = epochs_at_checkpoint("run")
        continued += before is not None
        process = subprocess.Popen(command)
        try:
            code = process.wait(chance.uniform(12, 35))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        after = epochs_at_checkpoint("run")
        crossed.append((after or 0) - (before or 0))
        done = len(lines("run/metrics.jsonl")) if after else 0
        print(f"{time.strftime('%H:%M:%S')} kill {kills}: checkpoint of epoch {after}, {done} records", flush=True)
        if os.path.exists("run/config.toml"):
            command = [program, "train", "--resume", "run", "--quiet", "--save", "run.st"]
    assert code == 0 and reference.wait() == 0
    same = run("run") == run("reference") and digest("run.st") == digest("reference.st")
    print(f"{kills} kills, {continued} resumes that continued from a checkpoint, epochs gained between kills: {crossed}")
    print("same outcome" if same else "DIFFERENT")
    sys.exit(0 if same and continued >= given.resumes else 1)


if __name__ == "__main__":
    main()
