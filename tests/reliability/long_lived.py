"""A process that lives for hours and is paused now and then: its memory and its open files must not grow.

It keeps what it has recorded in memory too, so its memory may grow as its file of records does. What it takes and gives
back again counts as nothing: the least memory and the fewest open files of each window of 5 minutes count, in the second
half of its life, when the allocator has its blocks.
"""
import csv
import math
import os
import random
import signal
import subprocess
import threading
import time

EVERY = 5.0  # Seconds between two samples.
WINDOW = 300.0  # Seconds.
STEEPEST = 512.0  # KiB an hour beyond the records.
LONGEST_PAUSE = 90.0


def slope(points):
    """The slope of the straight line with the least squared distances to points (x, y); NaN of fewer than two."""
    if len(points) < 2:
        return math.nan
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def least(samples):
    """Hour, memory, open files and records of each window of the second half, each the least in it."""
    windows = {}
    for second, *sample in samples:
        if second >= samples[-1][0] / 2:
            windows.setdefault(second // WINDOW, []).append(sample)
    return [(number * WINDOW / 3600, *map(min, zip(*window))) for number, window in sorted(windows.items())]


class LongLived:
    """The process, and samples of its memory and its file of records, both in KiB, and of its open files."""

    def __init__(self, soak, name, arguments, records):
        self.soak, self.name, self.pauses, self.samples = soak, name, 0, []
        self.place = os.path.join(soak.folder, "long-" + name)
        os.mkdir(self.place)
        self.records = os.path.join(self.place, records)
        self.log = open(os.path.join(self.place, "log"), "w")
        self.process = subprocess.Popen(
            [soak.program, *arguments], cwd=self.place, stdout=subprocess.DEVNULL, stderr=self.log
        )
        self.begin = time.monotonic()
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def sample(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            memory = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
        files = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        records = os.path.getsize(self.records) / 1024 if os.path.exists(self.records) else 0
        self.samples.append((time.monotonic() - self.begin, memory, files, records))
        with open(os.path.join(self.soak.folder, "memory.csv"), "a", newline="") as file:
            csv.writer(file).writerow([self.name, f"{self.samples[-1][0]:.0f}", memory, files, f"{records:.0f}"])

    def watch(self):
        dice = random.Random(f"{self.soak.seed} {self.name}")
        while not self.ending.wait(EVERY) and self.process.poll() is None:
            self.sample()
            if dice.random() < 0.02:
                self.process.send_signal(signal.SIGSTOP)
                self.pauses += 1
                self.ending.wait(LONGEST_PAUSE * dice.random() ** 2)
                self.process.send_signal(signal.SIGCONT)
        if not self.ending.is_set():
            self.soak.say(f"long {self.name} ended by itself: exit code {self.process.poll()}")

    def end(self):
        """Interrupts it as Ctrl-C does, and looks at what it leaves."""
        self.ending.set()
        self.thread.join()
        self.lived = time.monotonic() - self.begin
        early = self.process.poll()
        if early is None:
            self.process.send_signal(signal.SIGINT)
        self.code = self.process.wait()
        windows = least(self.samples)
        self.slope, self.records_slope = (slope([(at, w[column]) for at, *w in windows]) for column in (0, 2))
        self.files = windows[-1][2] - windows[0][2] if windows else math.nan
        return self

    def is_bad(self):
        return self.code != 130 or not self.slope - self.records_slope <= STEEPEST or not self.files <= 0

    def rows(self):
        kib = [memory for _, memory, *_ in self.samples]
        return [
            (f"long {self.name}: hours, pauses", f"{self.lived / 3600:.2f}, {self.pauses}"),
            (f"long {self.name}: memory, KiB", f"{min(kib)} to {max(kib)}"),
            (f"long {self.name}: memory, KiB an hour", f"{self.slope:.0f}"),
            (f"long {self.name}: records, KiB an hour", f"{self.records_slope:.0f}"),
            (f"long {self.name}: growth of open files", self.files),
            (f"long {self.name}: exit code", self.code),
        ]
