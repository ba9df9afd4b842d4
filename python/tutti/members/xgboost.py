"""Boosters of XGBoost."""

import os

from . import threads


def load(path):
    """The booster that save_model() wrote to `path` (.json or .ubj). Each sample is flattened to a row of features. Of two
    classes both have a column, as in XGBClassifier.predict_proba()."""
    import numpy
    import xgboost

    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file '{path}'; relative paths start at the current folder")
    booster = xgboost.Booster(model_file=path)
    booster.set_param({"nthread": threads()})

    def predict(samples):
        scores = booster.inplace_predict(samples.reshape(len(samples), -1))
        return numpy.stack([1 - scores, scores], 1) if scores.ndim == 1 else scores

    return predict
