"""`python -m tutti.export`: converts models, heads, image sets and FusionBench configurations for `tutti`.

Each command is a separate module, which imports a third-party package only when it is needed.
"""
