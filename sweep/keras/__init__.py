"""The same training in stock Keras, one model after another.

It is slow and beyond doubt: the engine is tested against it, and a person can repeat any run in it.
"""

from sweep.keras.model import build_model
from sweep.keras.training import Trainer, train_in_keras

__all__ = ["Trainer", "build_model", "train_in_keras"]
