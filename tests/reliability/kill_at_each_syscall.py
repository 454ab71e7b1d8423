#!/usr/bin/env python3
"""Kills a command at each write, rename, fsync, ... that it makes, starts it again, and compares what it leaves with
what an undisturbed command leaves: points, values, weights, metrics, reports.

usage: kill_at_each_syscall.py PROGRAM WORKDIR {train,init-from,folds,search,sweep,study} [--stride N]

With a stride of N it kills at every N-th call of each kind only. train takes a minute, folds, search and sweep some
minutes, study some minutes with a stride of 50. Needs strace. Prints how many kills ended in which way; exit code 1 if
one did not end in the same outcome.
"""
import argparse
import os
import random
import re
import shutil
import subprocess
import sys

from outcome import digest, everything

CALLS = "write,rename,fsync,ftruncate,unlink,unlinkat,mkdir,openat,pwrite64,flock".split(",")
ONE_THREAD = ["--threads", "1", "--quiet"]
SMALL = ["--data", "small.csv", "--epochs", "2", "--batch-size", "40", *ONE_THREAD]
TRAIN = ["train", *SMALL, "--width", "8", "--out", "run", "--save", "last.st"]
COMMANDS = {
    "train": TRAIN,
    "init-from": [*TRAIN, "--init-from", "../given.st"],
    "folds": ["train", *SMALL, "--width", "8", "--out", "run", "--folds", "2"],
    "search": ["search", *SMALL, "--trials", "3", "--lr", "0.001..0.01", "--width", "6,8", "--keep", "1"],
    "sweep": ["sweep", "width", *SMALL, "--values", "6,8", "--repeats", "2"],
    "study": ["study", "--preset", "quick", "--data", "small.csv", "--out", "study", *ONE_THREAD],
}


def write_data(path, rows=340):
    """Samples of two classes that overlap."""
    generator = random.Random(1)
    with open(path, "w") as file:
        file.write("a,b,label\n")
        for _ in range(rows):
            label = generator.randrange(2)
            a, b = generator.gauss(2 * label, 1), generator.gauss(-label, 1)
            file.write(f"{a:.4f},{b:.4f},{label}\n")


class Killer:
    def __init__(self, program, work, command):
        self.program, self.work, self.command = program, work, command
        self.place = os.path.join(work, "place")
        write_data(os.path.join(work, "small.csv"))
        if command == "init-from":
            given = ["train", *SMALL, "--width", "8", "--seed", "7", "--out", "given", "--save", "given.st"]
            self.start(given, place=work, check=True)
        self.make_place()
        self.start(COMMANDS[command], check=True)
        self.expected = everything(self.place)

    def start(self, arguments, before=(), place=None, check=False):
        return subprocess.run(
            [*before, self.program, *arguments], cwd=place or self.place, check=check, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )

    def make_place(self):
        shutil.rmtree(self.place, ignore_errors=True)
        os.mkdir(self.place)
        shutil.copy(os.path.join(self.work, "small.csv"), self.place)

    def again(self):
        """The arguments with which a person goes on after the kill."""
        if self.command in ("train", "init-from") and os.path.exists(self.place + "/run/config.toml"):
            return ["train", "--resume", "run", "--quiet", "--save", "last.st"]
        if self.command == "folds" and os.path.exists(self.place + "/run/folds.toml"):
            return ["train", "--resume", "run", "--quiet"]
        return COMMANDS[self.command]

    def kill_at(self, call, n):
        """How a command that is killed at its n-th call ends once it was started again; None if it makes fewer."""
        self.make_place()
        trace = ["strace", "-f", "-o", os.path.join(self.work, "trace"), "-e", "trace=" + call]
        trace += ["-e", f"inject={call}:signal=SIGKILL:when={n}"]
        if self.start(COMMANDS[self.command], before=trace).returncode == 0:
            return None
        again = self.start(self.again())
        if again.returncode != 0:
            return f"refused: {again.stderr.strip()[-200:]}"
        try:
            found = everything(self.place)
        except (AssertionError, OSError, ValueError) as error:
            return f"broken: {error}"
        other = [name for name in self.expected.keys() | found.keys() if self.expected.get(name) != found.get(name)]
        names = re.sub("[0-9a-f]{32}", "*", str(sorted(other)[:5]))
        return "DIFFERENT: " + names if other else "same outcome"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("work")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--stride", type=int, default=1)
    given = parser.parse_args()
    work = os.path.abspath(given.work)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    killer = Killer(os.path.abspath(given.program), work, given.command)
    ends = {}
    for call in CALLS:
        n = 1
        while (end := killer.kill_at(call, n)) is not None:
            ends.setdefault(end, []).append(f"{call} {n}")
            n += given.stride
    for end, points in ends.items():
        print(len(points), end, points[:5])
    sys.exit(0 if set(ends) == {"same outcome"} else 1)


if __name__ == "__main__":
    main()
