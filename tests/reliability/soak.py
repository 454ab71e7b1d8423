#!/usr/bin/env python3
"""Trains, searches and studies for hours under random kills, interruptions, pauses and full disks, and compares what
each command leaves in the end with what an undisturbed one leaves.

usage: soak.py PROGRAM FOLDER --hours H [--seed S]     (Linux; as root, or no disk gets full)

A round is a job of `jobs()`: its processes are disturbed at random moments and started again until each is done. Two rounds
run at a time. Beside them a training and a search live from the beginning to the end (see `long_lived.py`). FOLDER gets
`rounds.csv`, `memory.csv` and `log`. The table at the end counts what must not happen: exit code 1 unless each count is 0.
"""
import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback

from kill_at_each_syscall import write_data
from long_lived import LongLived
from outcome import everything, journal, lines, whole_lines

LANES = 2
ONE = ["--threads", "1", "--quiet"]
TWO = ["--threads", "2", "--quiet"]
RUN = ["--out", "run", "--save", "last.st"]
IMAGES = os.path.join(os.path.dirname(__file__), "../../data/fashion-mnist")
RANGES = ["--lr", "0.001..0.1:log", "--width", "8..64", "--keep", "2"]
FULL = "No space left on device"


class Job:
    """A command, how many processes of it share the work, and the MiB of disk that it may fill."""

    def __init__(self, *arguments, processes=1, space=8):
        self.arguments, self.processes, self.space = arguments, processes, space


def jobs(table, numbers, images):
    """The jobs by name."""
    train = ("train", *RUN)
    return {
        "table": Job(*train, "--data", table, "--width", "300", "--depth", "4", "--batch-size", "20", "--epochs", "150", *ONE),
        "pictures": Job(*train, "--data", images, "--width", "64", "--epochs", "50", *TWO),
        "augmented": Job(
            *train, "--data", images, "--width", "32", "--epochs", "10", "--augment", "flip,shift=2", "--dropout", "0.2", *ONE
        ),
        "regression": Job(
            *train, "--data", numbers, "--task", "regression", "--members", "4", "--batch-size", "16", "--epochs", "600", *ONE
        ),
        "f64": Job(*train, "--data", table, "--precision", "f64", "--width", "100", "--depth", "3", "--epochs", "600", *ONE),
        "bf16": Job(
            *train, "--data", images, "--precision", "bf16", "--width", "64", "--optimizer", "adamw", "--schedule", "onecycle",
            "--schedule-by", "update", "--epochs", "20", *ONE
        ),
        "folds": Job(
            "train", "--out", "run", "--data", table, "--folds", "3", "--width", "100", "--batch-size", "20", "--epochs", "300",
            *ONE
        ),
        "search": Job(
            "search", "--data", table, "--trials", "24", *RANGES, "--batch-size", "16", "--epochs", "150", *ONE, processes=3
        ),
        "sobol": Job(
            "search", "--data", numbers, "--task", "regression", "--sampler", "sobol", "--trials", "20", *RANGES, "--repeats", "2",
            "--batch-size", "16", "--epochs", "100", *TWO, processes=2
        ),
        "tpe": Job("search", "--data", table, "--sampler", "tpe", "--trials", "20", *RANGES, "--epochs", "100", *ONE),
        "sweep": Job(
            "sweep", "width", "--values", "8,16,32,64", "lr", "--values", "0.001,0.01,0.1", "--repeats", "3", "--data", table,
            "--batch-size", "16", "--epochs", "100", *ONE, processes=2
        ),
        "study": Job("study", "--preset", "quick", "--data", table, "--out", "study", *ONE, space=192),
    }


class Process:
    """One of the processes that share a job's work. It is started again until it is done."""

    def __init__(self, round_, number):
        self.round, self.log = round_, os.path.join(round_.folder, f"{number}.log")
        self.done = False
        self.start()

    def start(self):
        self.signals, self.early_signals, self.resume_at, self.met_full_disk = set(), set(), None, self.round.is_full
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [self.round.program, *self.round.arguments()], cwd=self.round.place, stdout=subprocess.DEVNULL, stderr=log
            )
        self.round.count("starts")

    def send(self, number):
        self.signals.add(number)
        # An interruption ends a process at once that has not begun to listen yet, as one that still reads its data.
        if not self.catches(number):
            self.early_signals.add(number)
        self.process.send_signal(number)

    def catches(self, number):
        with open(f"/proc/{self.process.pid}/status") as file:
            caught = next((line.split()[1] for line in file if line.startswith("SigCgt:")), "0")
        return int(caught, 16) >> (number - 1) & 1

    def runs(self):
        return not self.done and self.resume_at is None

    def look(self, now):
        """Continues it when its pause is over, and starts it again when it has ended before it was done."""
        if self.resume_at is not None and now >= self.resume_at:
            self.resume_at = None
            self.process.send_signal(signal.SIGCONT)
        code = self.process.poll()
        if self.done or code is None:
            return
        with open(self.log) as log:
            said = log.read()
        self.round.remember()
        self.done = code == 0
        if "panicked" in said:
            self.round.problem("panics", said)
        if code == 1 and self.met_full_disk and said.startswith("chainrule: ") and FULL in said:
            self.round.count("refused")
        elif not (
            code == 0
            or code == -signal.SIGKILL and signal.SIGKILL in self.signals
            or code == 130 and self.signals & {signal.SIGINT, signal.SIGTERM}
            or -code in self.early_signals
        ):
            self.round.problem("exits", f"exit code {code}: {said}")
            # A command that always refuses would never end its round.
            self.done |= self.round.counts["exits"] >= 10
        if not self.done:
            self.start()


class Round:
    """A job under faults."""

    COUNTS = "starts kills interrupts pauses full refused lost different stray panics exits zombies".split()
    BAD = COUNTS[COUNTS.index("lost"):]

    def __init__(self, soak, number, name):
        self.soak, self.number, self.name, self.job = soak, number, name, soak.jobs[name]
        self.program, self.dice = soak.program, random.Random(f"{soak.seed} {number}")
        self.counts = dict.fromkeys(self.COUNTS, 0)
        self.finished = {}
        self.longest_pause = 0.0
        self.full_until = None
        self.folder = os.path.join(soak.folder, f"round-{number}")
        os.mkdir(self.folder)
        self.has_own_disk = soak.can_mount and self.dice.random() < 0.6
        self.disk = os.path.join(self.folder, "disk")
        self.place = os.path.join(self.disk, "place")

    @property
    def is_full(self):
        return self.full_until is not None

    def count(self, what):
        self.counts[what] += 1

    def problem(self, what, text):
        self.counts[what] += 1
        self.soak.say(f"round {self.number} {self.name}: {what}: {text.strip()[-2000:]}")

    def arguments(self):
        """What a person types to begin, or to go on."""
        run = os.path.join(self.place, "run")
        if any(os.path.exists(os.path.join(run, name)) for name in ("config.toml", "folds.toml")):
            saved = ["--save", "last.st"] if "last.st" in self.job.arguments else []
            return ["train", "--resume", "run", "--quiet", *saved]
        return self.job.arguments

    def journals(self):
        for parent, _, files in os.walk(self.place):
            for name in files:
                if name.endswith(".journal"):
                    yield os.path.join(parent, name)

    def remember(self):
        """Adds the trials that have a result now to those that must be there in the end."""
        for path in self.journals():
            found = self.finished.setdefault(path, {})
            for key, result in journal(whole_lines(path)).items():
                found.setdefault(key, result)

    def fill(self, now):
        """Takes all that is free on the disk."""
        free = os.statvfs(self.disk)
        with open(os.path.join(self.disk, "filler"), "wb") as filler:
            filler.truncate()
            try:
                os.posix_fallocate(filler.fileno(), 0, free.f_bavail * free.f_bsize)
            except OSError:
                pass
        self.full_until = now + self.dice.uniform(0.2, 4)
        for process in self.processes:
            process.met_full_disk = True
        self.count("full")

    def free(self):
        os.unlink(os.path.join(self.disk, "filler"))
        self.full_until = None

    def disturb(self, now):
        """True if there was a process to disturb."""
        process = self.dice.choice(self.processes)
        if not process.runs():
            return False
        kind = self.dice.choices(["kill", "interrupt", "pause", "full"], [3, 2, 3, 3 * self.has_own_disk])[0]
        if kind == "kill":
            process.send(signal.SIGKILL)
            self.count("kills")
        elif kind == "interrupt":
            process.send(self.dice.choice([signal.SIGINT, signal.SIGTERM]))
            self.count("interrupts")
        elif kind == "pause":
            # Whoever shares the work is taken for dead after 60 s.
            longest = 75 if self.job.processes > 1 else 10
            pause = longest * self.dice.random() ** 2
            self.longest_pause = max(self.longest_pause, pause)
            process.process.send_signal(signal.SIGSTOP)
            process.resume_at = now + pause
            self.count("pauses")
        elif not self.is_full:
            self.fill(now)
        return True

    def run(self):
        begin = time.monotonic()
        os.mkdir(self.disk)
        if self.has_own_disk:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={self.job.space}m", "soak", self.disk]
            subprocess.run(mount, check=True)
        try:
            os.mkdir(self.place)
            self.processes = [Process(self, number) for number in range(self.job.processes)]
            self.live()
            self.compare()
        finally:
            for process in self.processes:
                process.process.kill()
                process.process.wait()
            if any(self.counts[what] for what in self.BAD):
                shutil.copytree(self.place, os.path.join(self.folder, "kept"))
            if self.has_own_disk:
                subprocess.run(["umount", self.disk], check=True)
        self.seconds = time.monotonic() - begin
        if not any(self.counts[what] for what in self.BAD):
            shutil.rmtree(self.folder)

    def live(self):
        left, gap = self.dice.randint(4, 10), self.soak.seconds[self.name] * self.dice.choice([0.05, 0.2, 0.4])
        next_fault = time.monotonic() + self.dice.uniform(0, gap)
        while not all(process.done for process in self.processes):
            time.sleep(0.02)
            now = time.monotonic()
            if self.is_full and now >= self.full_until:
                self.free()
            for process in self.processes:
                process.look(now)
            if left > 0 and now >= next_fault:
                left -= self.disturb(now)
                next_fault = now + self.dice.uniform(0, gap)
        if self.is_full:
            self.free()

    def compare(self):
        """Counts what is lost, other than that of the undisturbed command, or left over."""
        for parent, folders, files in os.walk(self.place):
            for name in folders + files:
                if name.endswith((".tmp", ".lock", ".alive")) or name.startswith(".chainrule-"):
                    self.problem("stray", os.path.join(parent, name))
        found, expected = everything(self.place), self.soak.expected[self.name]
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                self.problem("different", name)
        kept = {path: journal(lines(path)) for path in self.journals()}
        for path, trials in self.finished.items():
            for key, result in trials.items():
                if kept[path].get(key) != result:
                    self.problem("lost", f"{path}: {key}")
        for process in self.processes:
            if os.path.exists(f"/proc/{process.process.pid}"):
                self.problem("zombies", f"process {process.process.pid}")


class Soak:
    """All rounds and the processes that live beside them."""

    def __init__(self, program, folder, hours, seed):
        self.program, self.folder, self.seed = os.path.abspath(program), os.path.abspath(folder), seed
        self.begin = time.monotonic()
        self.end = self.begin + hours * 3600
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.can_mount = os.geteuid() == 0
        self.lock, self.number, self.rounds, self.expected, self.seconds = threading.Lock(), 0, [], {}, {}
        table, numbers = (os.path.join(self.folder, name) for name in ("table.csv", "numbers.csv"))
        write_data(table, rows=4000)
        write_numbers(numbers)
        self.jobs = jobs(table, numbers, os.path.abspath(IMAGES))

    def say(self, line):
        line = f"{time.strftime('%H:%M:%S')} {line}"
        print(line, flush=True)
        with self.lock, open(os.path.join(self.folder, "log"), "a") as log:
            log.write(line + "\n")

    def undisturbed(self, name):
        place = os.path.join(self.folder, "undisturbed")
        os.mkdir(place)
        begin = time.monotonic()
        command = [self.program, *self.jobs[name].arguments]
        subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL)
        self.expected[name] = everything(place)
        shutil.rmtree(place)
        self.seconds[name] = time.monotonic() - begin
        self.say(f"undisturbed {name}: {self.seconds[name]:.1f} s")

    def lane(self):
        """Rounds, one after the other, until the time is over. Each job comes once before one comes twice."""
        while time.monotonic() < self.end:
            with self.lock:
                self.number += 1
                number = self.number
            turn, place = divmod(number - 1, len(self.jobs))
            order = sorted(self.jobs)
            random.Random(f"{self.seed} order {turn}").shuffle(order)
            round_ = Round(self, number, order[place])
            try:
                round_.run()
            except Exception:
                round_.problem("exits", traceback.format_exc())
                round_.seconds = 0.0
            self.record(round_)

    def record(self, round_):
        disk = "own disk" if round_.has_own_disk else "disk"
        row = {
            "round": round_.number, "job": round_.name, "on": disk, "seconds": f"{round_.seconds:.1f}",
            "longest_pause": f"{round_.longest_pause:.1f}", **round_.counts,
        }
        told = ", ".join(f"{count} {what}" for what, count in round_.counts.items() if count)
        self.say(f"round {round_.number} {round_.name} on its {disk}: {round_.seconds:.0f} s, {told}")
        with self.lock:
            self.rounds.append(round_)
            path = os.path.join(self.folder, "rounds.csv")
            is_new = not os.path.exists(path)
            with open(path, "a", newline="") as file:
                writer = csv.DictWriter(file, row)
                if is_new:
                    writer.writeheader()
                writer.writerow(row)

    def run(self):
        if not self.can_mount:
            self.say("not root: no disk gets full")
        data = ["--data", os.path.abspath(IMAGES)]
        train = ["train", "--out", "run", "--epochs", "1000000", "--width", "500", "--depth", "4", *data, *ONE]
        search = ["search", "--trials", "1000000", *RANGES, *data, "--epochs", "60", *ONE]
        lived = [
            LongLived(self, "train", train, ["train", "--resume", "run", *ONE]),
            LongLived(self, "search", search, search),
        ]
        for name in self.jobs:
            self.undisturbed(name)
        lanes = [threading.Thread(target=self.lane) for _ in range(LANES)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        grown = [process.end() for process in lived]
        return self.conclude(grown)

    def conclude(self, grown):
        """Prints the table. True if nothing happened that must not."""
        counts = {what: sum(round_.counts[what] for round_ in self.rounds) for what in Round.COUNTS}
        bad = any(counts[what] for what in Round.BAD) or any(process.is_bad() for process in grown)
        pause = max((round_.longest_pause for round_ in self.rounds), default=0)
        hours = (time.monotonic() - self.begin) / 3600
        rows = [("hours", f"{hours:.2f}"), ("rounds", len(self.rounds)), *counts.items(), ("longest pause, s", f"{pause:.0f}")]
        for process in grown:
            rows += process.rows()
        for what, count in rows:
            self.say(f"{what:<50} {count}")
        return not bad


def write_numbers(path):
    """2000 rows of two columns and a number that depends on them."""
    generator = random.Random(2)
    with open(path, "w") as file:
        file.write("a,b,target\n")
        for _ in range(2000):
            a, b = generator.gauss(0, 1), generator.gauss(0, 1)
            file.write(f"{a:.4f},{b:.4f},{a * b + generator.gauss(0, 0.1):.4f}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.exit(0 if Soak(given.program, given.folder, given.hours, given.seed).run() else 1)


if __name__ == "__main__":
    main()
