"""`python -m tutti.export`: models, heads, image sets and FusionBench configurations, made ready for `tutti`.

The commands stand in modules of their own, none of which imports a third-party package before it is needed.
"""
