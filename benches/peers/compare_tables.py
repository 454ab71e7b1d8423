#!/usr/bin/env python3
"""Compares `chainrule train` on tables with scikit-learn's MLPs: whole processes on the same CSV files.

Ours gets no flag but the label, and the task where numbers are to be predicted. Its validation part comes from the
training file. Theirs is a pipeline of median imputation, one-hot encoding, StandardScaler and MLPClassifier, or
MLPRegressor with standardised targets, at its defaults, and trains on the whole training file. Histogram-based gradient
boosting at its defaults gives a context; it decides nothing. Each task has fourteen tables (tables.py) with ten splits
each; a split's number is the seed of theirs. Our seed is always the default. The splits of a table overlap, so its
intervals and tests describe, they do not prove.

    cargo build --release
    benches/peers/compare_tables.py --threads 2 --record benches/results/DATE-tables
    benches/peers/compare_tables.py --task regression --threads 2 --record benches/results/DATE-regression
    benches/peers/compare_tables.py --tables choosing --flags "--batch-size 64"

The first run installs the packages that measuring.py names in a virtual environment in the --work folder. Every fit is
kept there too, ours by the program's bytes and flags. So an interrupted command goes on where it was, and a new program
is compared without fitting theirs again. Nothing else should run at the same time, because the times are compared as
well. To time both sides in turn, start with a new --work folder.
"""

import csv
import datetime
import json
import math
import platform
import statistics
import sys
from pathlib import Path

from measuring import (
    PACKAGES,
    SCORES,
    TASK_FLAGS,
    checked,
    circumstances,
    interval,
    parser,
    run_in_environment,
    shown,
    splits_of,
)
from tables import CHOOSING, TABLES

SPLITS = 10
# A table is lost if ours is significantly worse (Holm over the tables) and worse by more than this accuracy or R².
MARGIN = 0.01
LEVEL = 0.05


def arguments():
    made = parser(__doc__)
    made.add_argument("--task", choices=list(TABLES), default="classification")
    made.add_argument("--tables", default="all", help="all, choosing, judging, or names separated by commas")
    made.add_argument("--flags", default="", help="further flags of ours, to try other settings")
    made.add_argument("--record", type=Path, help="write results.csv, summary.json and README.md to this folder")
    args = checked(made, made.parse_args())
    every, choosing = list(TABLES[args.task]), CHOOSING[args.task]
    groups = {"all": every, "choosing": choosing, "judging": [name for name in every if name not in choosing]}
    args.names = groups.get(args.tables) or args.tables.split(",")
    if unknown := set(args.names) - set(every):
        made.error(f"--tables: expected some of {', '.join(every)}, found {', '.join(sorted(unknown))}")
    if args.record and (args.flags or args.names != every):
        made.error("--record: expected all tables and no --flags")
    return args


def measure(args):
    """Yields each table with its size and, for each split, the results (ours, theirs, the context's)."""
    for table in args.names:
        splits, rows, columns = splits_of(args, args.task, table, SPLITS)
        results = []
        for split in splits:
            their, context = (split.of_sklearn(args, model) for model in ("mlp", "boosting"))
            our = split.of_model(args, args.flags)
            if our["test_rows"] != their["test_rows"]:
                sys.exit(f"{split.test}: ours counts {our['test_rows']} test rows, theirs {their['test_rows']}")
            results.append((our, their, context))
        yield table, {"train_rows": rows, "columns": columns, "results": results}


def p_value(differences):
    """The p-value of the paired t-test."""
    from scipy import stats

    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(len(differences))
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean / error), len(differences) - 1))


def holm(p_values):
    """The p-values adjusted by Holm's method, in the given order."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def table_summary(args, table, measurement):
    ours, theirs, contexts = zip(*measurement["results"])

    def mean(results, key):
        return statistics.fmean(result[key] for result in results)

    def total(results, key):
        return sum(result[key] for result in results)

    differences = [our["score"] - their["score"] for our, their in zip(ours, theirs)]
    difference, half = interval(differences)
    return {
        "table": table,
        "chose_defaults": table in CHOOSING[args.task],
        "train_rows": measurement["train_rows"],
        "columns": measurement["columns"],
        "ours": mean(ours, "score"),
        "theirs": mean(theirs, "score"),
        "boosting": mean(contexts, "score"),
        "difference": difference,
        "half_interval": half,
        "p": p_value(differences),
        "our_epochs": mean(ours, "epochs"),
        "their_epochs": mean(theirs, "epochs"),
        "our_seconds": total(ours, "seconds"),
        "our_cpu_seconds": total(ours, "cpu_seconds"),
        "their_fit_seconds": total(theirs, "fit_seconds"),
        "their_seconds": total(theirs, "seconds"),
        "their_cpu_seconds": total(theirs, "cpu_seconds"),
        "boosting_fit_seconds": total(contexts, "fit_seconds"),
    }


def group_difference(tables):
    """The mean over tables of their mean differences, and half its 95 % interval over the tables."""
    if not tables:
        return {"tables": 0, "difference": 0.0, "half_interval": None}
    mean, half = interval([table["difference"] for table in tables])
    return {"tables": len(tables), "difference": mean, "half_interval": half}


def summarise(args, measurements):
    tables = [table_summary(args, *item) for item in measurements.items()]
    for table, p in zip(tables, holm([table["p"] for table in tables])):
        table["p_holm"] = p
        table["lost"] = p < LEVEL and table["difference"] < -MARGIN
    some_their = next(iter(measurements.values()))["results"][0][1]
    totals = {key: sum(table[key] for table in tables) for key in tables[0] if key.endswith("_seconds")}
    overall = group_difference(tables)
    return {
        "date": datetime.date.today().isoformat(),
        "task": args.task,
        **circumstances(args),
        "flags": args.flags,
        "splits": SPLITS,
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


def table_lines(summary):
    yield "| table | rows | columns | ours | theirs | difference (95 %) | p (Holm) | boosting | epochs | seconds |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for table in summary["tables"]:
        star = " *" if table["chose_defaults"] else ""
        lost = " **lost**" if table["lost"] else ""
        yield (
            f"| {table['table']}{star} | {table['train_rows']} | {table['columns']} | {table['ours']:.4f} "
            f"| {table['theirs']:.4f} | {table['difference']:+.4f} ± {table['half_interval']:.4f}{lost} "
            f"| {table['p_holm']:.3f} | {table['boosting']:.4f} "
            f"| {table['our_epochs']:.0f}, {table['their_epochs']:.0f} "
            f"| {table['our_seconds']:.2f}, {table['their_fit_seconds']:.2f} |"
        )


def verdict_lines(summary):
    titles = {"all": "all tables", "choosing": "tables on which defaults may be chosen (*)", "judging": "the others"}
    for name, title in titles.items():
        group = summary[name]
        half = "" if group["half_interval"] is None else f" ± {group['half_interval']:.4f}"
        if group["tables"]:
            yield f"- Mean difference over {title}, {group['tables']}: {group['difference']:+.4f}{half}"
    totals = summary["totals"]
    yield (
        f"- Total seconds on {summary['threads']} thread(s): ours {totals['our_seconds']:.1f} for whole processes; "
        f"theirs {totals['their_fit_seconds']:.1f} to fit and predict alone, "
        f"{totals['their_seconds']:.1f} for whole processes; boosting {totals['boosting_fit_seconds']:.1f} alone"
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
    columns = {
        "our": ("score", "epochs", "seconds", "cpu_seconds", "best_epoch", "network"),
        "their": ("score", "epochs", "seconds", "cpu_seconds", "fit_seconds"),
        "boosting": ("score", "epochs", "seconds", "cpu_seconds", "fit_seconds"),
    }
    with open(folder / "results.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = [f"{side}_{key}" for side, keys in columns.items() for key in keys]
        writer.writerow(["table", "split", "test_rows", *names])
        for table, measurement in measurements.items():
            for split, results in enumerate(measurement["results"]):
                cells = [side[key] for side, keys in zip(results, columns.values()) for key in keys]
                writer.writerow([table, split, results[0]["test_rows"], *cells])
    (folder / "README.md").write_text("\n".join(readme_lines(folder, summary)) + "\n")


def readme_lines(folder, summary):
    packages = ", ".join(f"{name} {version}" for name, version in summary["packages"].items())
    blas = ", ".join(f"{pool['prefix']} {pool['version']} ({pool['architecture']})" for pool in summary["blas"])
    is_classification = summary["task"] == "classification"
    theirs = "MLPClassifier" if is_classification else "MLPRegressor with standardised targets"
    flags = " ".join(["--data --label", *TASK_FLAGS[summary["task"]], "--test-data"])
    yield f"# Tables beside scikit-learn, {summary['task']}, {summary['date']}"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| machine | {summary['machine']} |"
    yield f"| chainrule | commit {summary['commit']}, `train {flags}` and no other setting |"
    yield f"| compared with | {theirs}, at its defaults; Python {summary['python']}, {packages}; {blas} |"
    yield f"| threads | {summary['threads']} on both sides |"
    yield f"| load average | {summary['load_average']:.1f} in the last 15 minutes |"
    yield ""
    yield "```sh"
    yield "cargo build --release"
    yield f"benches/peers/compare_tables.py --task {summary['task']} --threads {summary['threads']} \\"
    yield f"  --record {shown(folder)}"
    yield "```"
    yield ""
    score = SCORES[summary["task"]][1]
    drawn = ", drawn from each class" if is_classification else ""
    splits = f"{summary['splits']} splits with {summary['test_share']:.0%} test rows"
    yield f"{score[0].upper()}{score[1:]} on the same test rows, {splits}{drawn}."
    yield "Rows are the training rows. Ours splits its validation part off them, theirs trains on all of them. Our seed"
    yield "is the default, theirs is the split's number. The interval is that of a paired t-test over the splits. The"
    yield "splits of a table overlap, so intervals and p-values describe, they do not prove. Pairs of numbers are ours,"
    yield "theirs. Seconds are sums over the splits: ours of whole processes, theirs of fitting and predicting alone,"
    yield "without start and reading. Boosting is scikit-learn's histogram-based gradient boosting at its defaults, on"
    yield "the same columns, for context."
    if is_classification:
        yield "A table with a * chose the defaults. Yeast is a multi-label table: its first target is taken."
    else:
        yield "The defaults are those of classification. None was chosen for numbers, not even on the tables with a *."
    yield ""
    yield from table_lines(summary)
    yield ""
    yield from verdict_lines(summary)
    yield ""
    yield "`results.csv` has every split, `summary.json` every figure."


def main():
    args = arguments()
    run_in_environment(args)
    measurements = {}
    for table, measurement in measure(args):
        measurements[table] = measurement
        summary = table_summary(args, table, measurement)
        print(f"{table}: {summary['difference']:+.4f} ± {summary['half_interval']:.4f}", file=sys.stderr, flush=True)
    summary = summarise(args, measurements)
    print("\n".join([*table_lines(summary), "", *verdict_lines(summary)]))
    if args.record:
        record(args.record, measurements, summary)
    sys.exit(0 if all(summary["passed"].values()) else 1)


if __name__ == "__main__":
    main()
