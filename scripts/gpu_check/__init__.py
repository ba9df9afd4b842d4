"""The steps of gpu-check. Python 3.9, the standard library only."""
