#!/usr/bin/env python3
"""Searches shared by three processes in PID namespaces of their own, which are stopped for up to 40 s and killed.

usage: pause_and_kill.py PROGRAM WORKDIR [ROUNDS [AT_ONCE]]     (Linux, as root: `unshare --pid` needs it)

Each round is a search of 24 trials. Now and then one of the processes gets SIGSTOP and later SIGCONT, or SIGKILL and is
started again. In the end there must be 24 results in 24 slots, with the points and values of an undisturbed search, and no
more failed attempts than kills. Exit 1 otherwise.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

TRIALS = 24
PROCESSES = 3
KILLS = 4
LONGEST_STOP = 40.0
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def table(path):
    """300 rows of three columns; a function of nothing but their numbers."""
    with open(path, "w") as file:
        file.write("a,b,label\n")
        for i in range(300):
            a, b = (i * 37 % 101) / 101, (i * 53 % 97) / 97
            file.write(f"{a:.4f},{b:.4f},{int(a + b > 1)}\n")


def command(program, folder, journal):
    search = [program, "search", "--data", f"{folder}/table.csv", "--study", journal, "--trials", str(TRIALS)]
    settings = ["--lr", "0.001..0.1:log", "--width", "8..64", "--epochs", "60", "--batch-size", "8", "--threads", "1"]
    return search + settings + ["--seed", "7", "--quiet"]


def replay(journal):
    """The trials of the file: state, parameters, value, attributes."""
    trials = []
    for line in open(journal):
        record = json.loads(line)
        code = record["op_code"]
        if code == 4:
            value = record.get("value")
            trials.append({"state": record["state"], "params": record["params"], "value": value, "system": record["system_attrs"]})
        elif code == 6 and trials[record["trial_id"]]["state"] in (0, 4):
            trial = trials[record["trial_id"]]
            trial["state"] = record["state"]
            if record["values"]:
                trial["value"] = record["values"][0]
        elif code == 9:
            trials[record["trial_id"]]["system"].update(record["system_attr"])
    return trials


def results(trials):
    """Parameters and values of the complete trials, by the number of their first attempt."""
    found = {}
    for number, trial in enumerate(trials):
        if trial["state"] == 1:
            first = trial["system"].get("failed_trial", number)
            assert first not in found, f"slot of trial {first} has two results"
            found[first] = (sorted(trial["params"].items()), trial["value"])
    return sorted(found.values())


class Process:
    """A search in a PID namespace of its own."""

    def __init__(self, arguments, log):
        self.arguments, self.log = arguments, log
        self.start()

    def start(self):
        self.outer = subprocess.Popen(NAMESPACE + self.arguments, stdout=subprocess.DEVNULL, stderr=self.log)
        self.resume_at = None

    def inner(self):
        """The process of the search, as seen from here."""
        try:
            children = open(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read().split()
            return int(children[0]) if children else None
        except OSError:
            return None

    def send(self, number):
        inner = self.inner()
        if inner is not None:
            try:
                os.kill(inner, number)
                return True
            except ProcessLookupError:
                pass
        return False


def round_of(program, work, number, expected):
    dice = random.Random(number)
    folder = f"{work}/{number}"
    os.makedirs(folder)
    table(f"{folder}/table.csv")
    journal = f"{folder}/study.journal"
    log = open(f"{folder}/log", "w")
    arguments = command(program, folder, journal)
    processes = [Process(arguments, log) for _ in range(PROCESSES)]
    kills = stops = 0
    while any(p.outer.poll() is None for p in processes):
        time.sleep(dice.uniform(0.0, 0.3))
        now = time.monotonic()
        for process in processes:
            if process.resume_at is not None and now >= process.resume_at:
                process.send(signal.SIGCONT)
                process.resume_at = None
        process = dice.choice(processes)
        if process.outer.poll() is not None or process.resume_at is not None:
            continue
        if dice.random() < 0.1 and process.send(signal.SIGSTOP):
            process.resume_at = now + LONGEST_STOP * dice.random() ** 2
            stops += 1
        elif dice.random() < 0.1 and kills < KILLS and process.send(signal.SIGKILL):
            process.outer.wait()
            process.start()
            kills += 1
    codes = [p.outer.returncode for p in processes]
    assert codes == [0] * PROCESSES, f"round {number}: exit codes {codes}: {open(log.name).read()}"
    trials = replay(journal)
    found = results(trials)
    assert found == expected, f"round {number}: other results"
    failed = sum(trial["state"] == 3 for trial in trials)
    assert failed <= kills, f"round {number}: {failed} failed attempts and {kills} kills"
    assert all(trial["state"] in (1, 3) for trial in trials), f"round {number}: a trial is left"
    left = sorted(os.listdir(folder))
    return stops, kills, failed, left


def main():
    program, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    at_once = int(sys.argv[4]) if len(sys.argv) > 4 else 10
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(f"{work}/calm")
    table(f"{work}/calm/table.csv")
    journal = f"{work}/calm/study.journal"
    subprocess.run(command(program, f"{work}/calm", journal), check=True)
    expected = results(replay(journal))
    assert len(expected) == TRIALS
    with ThreadPoolExecutor(at_once) as pool:
        ends = list(pool.map(lambda number: round_of(program, work, number, expected), range(rounds)))
    stops, kills, failed = (sum(end[i] for end in ends) for i in range(3))
    left = sorted({name for end in ends for name in end[3]})
    print(f"{rounds} rounds: {stops} stops, {kills} kills, {failed} failed attempts; every trial once")
    print(f"left in the folders: {left}")


main()
