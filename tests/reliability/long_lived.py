"""A process that lives for hours and is paused now and then: it must not need more memory than it needs for its work, and
its open files must not grow.

It keeps what it has recorded in memory, so its memory may grow as its records do. So a fresh process goes on from its
files in the end, and is what its memory is compared with. What it takes and gives back again counts as nothing: the least
memory and the fewest open files of each window of 5 minutes count, in the second half of its life, when the allocator has
its blocks.
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
FRESH = 180.0  # Seconds for which a fresh process works, before its memory is compared.
MORE = 1.1  # Times the memory of a fresh process.
LONGEST_PAUSE = 90.0


def slope(points):
    """The slope of the straight line with the least squared distances to points (x, y); NaN of fewer than two."""
    if len(points) < 2:
        return math.nan
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def least(samples):
    """Hour, memory and open files of each window of the second half, each the least in it."""
    windows = {}
    for second, *sample in samples:
        if second >= samples[-1][0] / 2:
            windows.setdefault(second // WINDOW, []).append(sample)
    return [(number * WINDOW / 3600, *map(min, zip(*window))) for number, window in sorted(windows.items())]


class LongLived:
    """The process, and samples of its memory in KiB and of its open files. `again` is what a person types to go on."""

    def __init__(self, soak, name, arguments, again):
        self.soak, self.name, self.again, self.pauses, self.samples = soak, name, again, 0, []
        self.place = os.path.join(soak.folder, "long-" + name)
        os.mkdir(self.place)
        self.process = self.start(arguments)
        self.begin = time.monotonic()
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def start(self, arguments):
        with open(os.path.join(self.place, "log"), "a") as log:
            return subprocess.Popen([self.soak.program, *arguments], cwd=self.place, stdout=subprocess.DEVNULL, stderr=log)

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

    def sample(self):
        files = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        self.samples.append((time.monotonic() - self.begin, self.memory(), files))
        with open(os.path.join(self.soak.folder, "memory.csv"), "a", newline="") as file:
            csv.writer(file).writerow([self.name, *map(round, self.samples[-1])])

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

    def interrupt(self):
        """As Ctrl-C does. Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait()

    def end(self):
        """Interrupts it, and compares it with a fresh process that goes on from its files."""
        self.ending.set()
        self.thread.join()
        self.lived = time.monotonic() - self.begin
        self.codes = [self.interrupt()]
        windows = least(self.samples)
        self.slope = slope([(hour, memory) for hour, memory, _ in windows])
        self.last, self.files = (windows[-1][1], windows[-1][2] - windows[0][2]) if windows else (math.nan, math.nan)
        self.process = self.start(self.again)
        time.sleep(FRESH)
        self.fresh = self.memory()
        self.codes.append(self.interrupt())
        return self

    def is_bad(self):
        return self.codes != [130, 130] or not self.last <= MORE * self.fresh or not self.files <= 0

    def rows(self):
        kib = [memory for _, memory, _ in self.samples]
        return [
            (f"long {self.name}: hours, pauses", f"{self.lived / 3600:.2f}, {self.pauses}"),
            (f"long {self.name}: memory, KiB", f"{min(kib)} to {max(kib)}"),
            (f"long {self.name}: memory, KiB an hour", f"{self.slope:.0f}"),
            (f"long {self.name}: memory at the end, KiB", self.last),
            (f"long {self.name}: memory of a fresh process, KiB", self.fresh),
            (f"long {self.name}: growth of open files", self.files),
            (f"long {self.name}: exit codes", self.codes),
        ]
