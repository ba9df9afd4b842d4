"""Image classifiers of Hugging Face transformers."""

import os

from .torch import wrap


def image_classifier(path):
    """The model in the folder that save_pretrained() wrote. It outputs logits. What its image processor does to the images
    belongs into the `input` of the member. Nothing is fetched from the network."""
    from transformers import AutoModelForImageClassification

    if not os.path.isdir(path):
        raise FileNotFoundError(f"there is no folder '{path}'; relative paths start at the current folder")
    return wrap(AutoModelForImageClassification.from_pretrained(path, local_files_only=True), entry="logits")
