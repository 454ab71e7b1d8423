#!/usr/bin/env python3
"""Fits scikit-learn's usual pipeline for a table on one CSV file and evaluates it on another.

MODEL is mlp, or boosting for histogram-based gradient boosting, which gives a context. Both are at their defaults. The
targets of an MLPRegressor are standardised.

Prints one JSON object. measuring.py runs it. `score` is accuracy or R². `fit_seconds` starts after the imports and the
reading of the files, and ends after the prediction of the test part.

    sklearn_mlp.py classification|regression mlp|boosting TRAIN.csv TEST.csv LABEL SEED
"""

import json
import sys
import time
import warnings

import pandas
import sklearn
import threadpoolctl
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

MODELS = {
    ("classification", "mlp"): MLPClassifier,
    ("classification", "boosting"): HistGradientBoostingClassifier,
    ("regression", "mlp"): MLPRegressor,
    ("regression", "boosting"): HistGradientBoostingRegressor,
}


def pipeline(task, model, seed):
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    # The encoder makes a missing word a category of its own.
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([
        ("numbers", numbers, make_column_selector(dtype_include="number")),
        ("words", words, make_column_selector(dtype_exclude="number")),
    ])
    estimator = MODELS[task, model](random_state=seed)
    if isinstance(estimator, MLPRegressor):
        estimator = TransformedTargetRegressor(estimator, transformer=StandardScaler())
    return make_pipeline(columns, estimator)


def main():
    task, model, train_path, test_path, label, seed = sys.argv[1:]
    # The default of 200 epochs is reached on most tables.
    warnings.simplefilter("ignore", ConvergenceWarning)
    train, test = pandas.read_csv(train_path), pandas.read_csv(test_path)
    start = time.perf_counter()
    fitted = pipeline(task, model, int(seed)).fit(train.drop(columns=label), train[label])
    score = float(fitted.score(test.drop(columns=label), test[label]))
    seconds = time.perf_counter() - start
    estimator = getattr(fitted[-1], "regressor_", fitted[-1])
    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    print(json.dumps({
        "score": score,
        "test_rows": len(test),
        "epochs": estimator.n_iter_,
        "fit_seconds": seconds,
        "sklearn": sklearn.__version__,
        "blas": [{key: pool.get(key) for key in ("prefix", "version", "architecture", "num_threads")} for pool in blas],
    }))


if __name__ == "__main__":
    main()
