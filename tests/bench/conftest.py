"""What is collected: JAX's own tests only where JAX, which is an extra, is installed."""

from sweep.bench.contenders import CONTENDERS

collect_ignore = [] if CONTENDERS["jax"].missing() is None else ["test_jax.py"]
