#!/usr/bin/env python3
"""Compares embeddings of numbers and members with the plain network of `chainrule train`, on the tables of tables.py.

Every variant is trained with the defaults on splits of compare_tables.py, the first three, or the first alone of tables
with many rows, and scored on the same test rows: by accuracy, or by R² where numbers are predicted. A table's score is
the mean over its splits. Intervals are those of a t-distribution over the tables.

    cargo build --release
    benches/peers/compare_variants.py --threads 2 --record benches/results/DATE-variants

Fits are kept in the --work folder, as those of compare_tables.py. Nothing else should run at the same time, because the
times are compared as well.
"""

import csv
import datetime
import json
import statistics
import sys
from pathlib import Path

from measuring import SCORES, checked, circumstances, interval, parser, run_in_environment, shown, splits_of
from tables import TABLES

SPLITS = 3
# Tables with more training rows have one split: their test parts are large enough.
MANY_ROWS = 10_000
PLAIN = "plain"
VARIANTS = {
    PLAIN: "",
    "embed": "--embed piecewise",
    "embed, width 16": "--embed piecewise --embed-width 16",
    "members": "--members 8",
    "embed and members": "--embed piecewise --members 8",
}
# Columns of a record of single fits.
FIT = ("score", "epochs", "best_epoch", "seconds", "cpu_seconds", "epoch_seconds", "network")


def arguments():
    made = parser(__doc__)
    made.add_argument("--splits", type=int, default=SPLITS)
    made.add_argument("--record", type=Path, help="write results.csv, summary.json and README.md to this folder")
    args = checked(made, made.parse_args())
    if args.splits < 1:
        made.error("--splits: expected at least 1")
    return args


def measure(args):
    """Yields (task, table) and, for each variant, the results of the splits."""
    for task, tables in TABLES.items():
        for table in tables:
            splits, rows, _ = splits_of(args, task, table, args.splits)
            splits = splits if rows <= MANY_ROWS else splits[:1]
            # All variants of a split in turn, so that a slower hour of the machine is nobody's.
            results = [{name: split.of_model(args, flags) for name, flags in VARIANTS.items()} for split in splits]
            yield (task, table), {name: [result[name] for result in results] for name in VARIANTS}


def ranks(scores):
    """The rank of each variant, 1 for the best; equal scores share the mean of their ranks."""
    better = {name: sum(other > score for other in scores.values()) for name, score in scores.items()}
    equal = {name: sum(other == score for other in scores.values()) for name, score in scores.items()}
    return {name: better[name] + (equal[name] + 1) / 2 for name in scores}


def table_summary(task, table, results):
    """A table's score, rank, epochs and processor seconds of each variant."""
    def mean(name, key):
        return statistics.fmean(result[key] for result in results[name])

    scores = {name: mean(name, "score") for name in VARIANTS}
    return {
        "task": task,
        "table": table,
        "scores": scores,
        "ranks": ranks(scores),
        "epochs": {name: mean(name, "epochs") for name in VARIANTS},
        "cpu_seconds": {name: sum(result["cpu_seconds"] for result in results[name]) for name in VARIANTS},
        "epoch_cpu_seconds": {
            name: statistics.fmean(result["cpu_seconds"] / result["epochs"] for result in results[name])
            for name in VARIANTS
        },
    }


def variant_summary(name, tables):
    """The variant's mean rank, mean differences from the plain network by task, and costs as multiples of it."""
    def spread(values):
        mean, half = interval(list(values))
        return {"mean": mean, "half_interval": half}

    by_task = {task: [table for table in tables if table["task"] == task] for task in TABLES}
    return {
        "variant": name,
        "flags": VARIANTS[name],
        "rank": spread(table["ranks"][name] for table in tables),
        "differences": {
            task: spread(table["scores"][name] - table["scores"][PLAIN] for table in some)
            for task, some in by_task.items()
        },
        "better_tables": {
            task: sum(table["scores"][name] > table["scores"][PLAIN] for table in some)
            for task, some in by_task.items()
        },
        "cpu_seconds": sum(table["cpu_seconds"][name] for table in tables),
        "cpu_ratio": sum(table["cpu_seconds"][name] for table in tables)
        / sum(table["cpu_seconds"][PLAIN] for table in tables),
        "epoch_ratio": statistics.geometric_mean(
            table["epoch_cpu_seconds"][name] / table["epoch_cpu_seconds"][PLAIN] for table in tables
        ),
    }


def summarise(args, measurements):
    tables = [table_summary(*key, results) for key, results in measurements.items()]
    return {
        "date": datetime.date.today().isoformat(),
        **circumstances(args),
        "splits": args.splits,
        "variants": [variant_summary(name, tables) for name in VARIANTS],
        "tables": tables,
    }


def spread_words(spread, digits, sign=""):
    half = "" if spread["half_interval"] is None else f" ± {spread['half_interval']:.{digits}f}"
    return f"{spread['mean']:{sign}.{digits}f}{half}"


def variant_lines(summary):
    counts = {task: len(tables) for task, tables in TABLES.items()}
    differences = " | ".join(f"{SCORES[task][1]}, {count} tables" for task, count in counts.items())
    better = " | ".join(f"better in {SCORES[task][1]}" for task in counts)
    rank = f"mean rank, {sum(counts.values())} tables"
    yield f"| variant | {rank} | {differences} | {better} | processor s | × | epoch × |"
    yield "|---" * (5 + 2 * len(counts)) + "|"
    for variant in summary["variants"]:
        differences = " | ".join(spread_words(variant["differences"][task], 4, "+") for task in counts)
        better = " | ".join(f"{variant['better_tables'][task]} of {count}" for task, count in counts.items())
        if variant["variant"] == PLAIN:
            differences, better = (" | ".join("-" for _ in counts) for _ in range(2))
        yield (
            f"| {variant['variant']} | {spread_words(variant['rank'], 2)} | {differences} | {better} "
            f"| {variant['cpu_seconds']:.1f} | {variant['cpu_ratio']:.2f} | {variant['epoch_ratio']:.2f} |"
        )


def table_lines(summary):
    yield f"| table | score | {' | '.join(VARIANTS)} |"
    yield "|---" * (2 + len(VARIANTS)) + "|"
    for table in summary["tables"]:
        best = max(table["scores"].values())
        cells = (f"**{score:.4f}**" if score == best else f"{score:.4f}" for score in table["scores"].values())
        yield f"| {table['table']} | {SCORES[table['task']][1]} | {' | '.join(cells)} |"


def record(folder, measurements, summary):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    with open(folder / "results.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["task", "table", "variant", "split", *FIT])
        for (task, table), results in measurements.items():
            for name, fits in results.items():
                for split, fit in enumerate(fits):
                    writer.writerow([task, table, name, split, *(fit[key] for key in FIT)])
    (folder / "README.md").write_text("\n".join(readme_lines(folder, summary)) + "\n")


def readme_lines(folder, summary):
    yield f"# Embeddings and members beside the plain network, {summary['date']}"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| machine | {summary['machine']} |"
    yield f"| chainrule | commit {summary['commit']}, defaults for tables |"
    yield f"| threads | {summary['threads']} |"
    yield f"| load average | {summary['load_average']:.1f} in the last 15 minutes |"
    yield ""
    yield "```sh"
    yield "cargo build --release"
    yield f"benches/peers/compare_variants.py --threads {summary['threads']} --splits {summary['splits']} \\"
    yield f"  --record {shown(folder)}"
    yield "```"
    yield ""
    yield from (f"- {name}: `{flags}`" if flags else f"- {name}: no flag" for name, flags in VARIANTS.items())
    yield ""
    yield f"The tables are those of `compare_tables.py` for both tasks, the first {summary['splits']} of its splits, or"
    yield f"the first alone of tables with more than {MANY_ROWS} training rows. Scores are accuracies or R² on the test"
    yield "rows, means over the splits. Rank 1 is the best of the five variants on a table. Differences are the"
    yield "variant's score minus that of the plain network; intervals are 95 % over the tables. Nothing was tuned for"
    yield "any variant: all have the defaults of the plain network. Processor seconds are sums of whole processes, × is"
    yield "their ratio to the plain network's. It depends on when training stopped, too: epoch × is the ratio of"
    yield "processor seconds by epochs, geometric mean over the tables, start and reading included."
    yield ""
    yield from variant_lines(summary)
    yield ""
    yield "Every table, the best variant in bold:"
    yield ""
    yield from table_lines(summary)
    yield ""
    yield "`results.csv` has every split, `summary.json` every figure."


def main():
    args = arguments()
    run_in_environment(args)
    measurements = {}
    for (task, table), results in measure(args):
        measurements[task, table] = results
        scores = table_summary(task, table, results)["scores"]
        words = ", ".join(f"{name} {score:.4f}" for name, score in scores.items())
        print(f"{task} {table}: {words}", file=sys.stderr, flush=True)
    summary = summarise(args, measurements)
    print("\n".join([*variant_lines(summary), "", *table_lines(summary)]))
    if args.record:
        record(args.record, measurements, summary)


if __name__ == "__main__":
    main()
