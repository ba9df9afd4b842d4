"""The Python side of Tutti: converts models, images and configurations from other tools for `tutti`. Runs no ensemble
itself."""
