"""What configurations have and Keras 3 has not, written as a person would write it for Keras.

A script that needs one of them contains its text, so each stands on the module `keras` alone.
"""
# Keras types what its operations return as what any of its backends may return.
# pyright: reportMissingParameterType=false, reportOperatorIssue=false, reportOptionalOperand=false

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


for _addition in (hard_sigmoid_keras2, CorrectedOtherwise):
    keras.saving.register_keras_serializable("sweep")(_addition)
