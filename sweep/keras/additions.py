"""What configurations have and Keras 3 has not, written as a person would write it for Keras.

A script that needs one of them contains its text, so each stands on the module `keras` alone.
"""
# Keras types what its operations return as what any of its backends may return.
# pyright: reportMissingParameterType=false, reportOperatorIssue=false, reportOptionalOperand=false
# pyright: reportIncompatibleMethodOverride=false

import keras


def hard_sigmoid_keras2(x):
    """Keras 2's hard sigmoid; Keras 3's is relu6(x + 3) / 6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


class CorrectedOtherwise(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that replaces Adam's own bias correction by another one.

    Adam multiplies the rate of update t by c(t), so this one is divided by c(t) and multiplied by
    1 ("off"), c(min(t, n)) ("frozen"), c(n) ("flat") or c(t + n) ("shifted"), n being `update`.
    """

    def __init__(self, rate, correction, update, beta_1=0.9, beta_2=0.999):
        self.rate, self.correction, self.update = rate, correction, float(update)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def __call__(self, step):
        t, n = keras.ops.cast(step, "float32") + 1.0, self.update
        due = {"off": float("inf"), "frozen": keras.ops.minimum(t, n), "flat": n, "shifted": t + n}
        return self.rate * self.factor(due[self.correction]) / self.factor(t)

    def factor(self, t):
        power = keras.ops.power
        return keras.ops.sqrt(1.0 - power(self.beta_2, t)) / (1.0 - power(self.beta_1, t))

    def get_config(self):
        return dict(vars(self))


class SetsRight(keras.metrics.Mean):
    """The share of sequences with every set right: its outputs above all others, at each step."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        inside, ops = y_true > 0.0, keras.ops
        least = ops.min(ops.where(inside, y_pred, 2.0), axis=-1)
        most = ops.max(ops.where(inside, -1.0, y_pred), axis=-1)
        right = ops.all(least > most, axis=-1)
        return super().update_state(ops.cast(right, "float32"))


class ValuesRight(keras.metrics.Mean):
    """The share of sequences with every value off by less than 0.04."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        right = keras.ops.all(keras.ops.abs(y_pred - y_true) < 0.04, axis=-1)
        return super().update_state(keras.ops.cast(right, "float32"))


for _addition in (hard_sigmoid_keras2, CorrectedOtherwise, SetsRight, ValuesRight):
    keras.saving.register_keras_serializable("sweep")(_addition)
