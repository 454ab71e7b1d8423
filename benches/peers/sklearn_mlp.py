#!/usr/bin/env python3
"""Fits scikit-learn's usual pipeline for a table on one CSV file and evaluates it on another.

Prints one JSON object. compare_tables.py runs it. `fit_seconds` starts after the imports and the reading of the files,
and ends after the prediction of the test part.

    sklearn_mlp.py TRAIN.csv TEST.csv LABEL SEED
"""

import json
import sys
import time
import warnings

import pandas
import sklearn
import threadpoolctl
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def pipeline(seed):
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    # The encoder makes a missing word a category of its own.
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([
        ("numbers", numbers, make_column_selector(dtype_include="number")),
        ("words", words, make_column_selector(dtype_exclude="number")),
    ])
    return make_pipeline(columns, MLPClassifier(random_state=seed))


def main():
    train_path, test_path, label, seed = sys.argv[1:]
    # The default of 200 epochs is reached on most tables.
    warnings.simplefilter("ignore", ConvergenceWarning)
    train, test = pandas.read_csv(train_path), pandas.read_csv(test_path)
    start = time.perf_counter()
    model = pipeline(int(seed)).fit(train.drop(columns=label), train[label])
    accuracy = float((model.predict(test.drop(columns=label)) == test[label]).mean())
    seconds = time.perf_counter() - start
    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    print(json.dumps({
        "accuracy": accuracy,
        "test_rows": len(test),
        "epochs": model[-1].n_iter_,
        "fit_seconds": seconds,
        "sklearn": sklearn.__version__,
        "blas": [{key: pool.get(key) for key in ("prefix", "version", "architecture", "num_threads")} for pool in blas],
    }))


if __name__ == "__main__":
    main()
