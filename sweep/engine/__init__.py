"""Training many models at once.

`train` takes runs from an iterable and yields finished runs, in the order in which they finish.
"""
