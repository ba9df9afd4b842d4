"""Classifiers and regressors of scikit-learn."""

import os

from . import threads


def load(path, method=None):
    """The estimator that joblib.dump() wrote to `path`. Each sample is flattened to a row of features.

    `method`: predict_proba, decision_function or predict; by default the first of these that the estimator has.
    joblib files are pickles: loading one runs the code in it. scikit-learn warns if another version wrote it; the warning
    goes to the log."""
    import joblib

    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file '{path}'; relative paths start at the current folder")
    return wrap(joblib.load(path), method)


def wrap(estimator, method=None):
    """A function of a batch for an estimator that is there already. Parallel parts get the threads of the worker."""
    if hasattr(estimator, "get_params"):
        jobs = [name for name in estimator.get_params() if name == "n_jobs" or name.endswith("__n_jobs")]
        estimator.set_params(**{name: threads() for name in jobs})
    names = [method] if method else ["predict_proba", "decision_function", "predict"]
    for name in names:
        function = getattr(estimator, name, None)
        if callable(function):
            return lambda samples: function(samples.reshape(len(samples), -1))
    raise AttributeError(f"{type(estimator).__name__} has no {' or '.join(names)}()")
