"""Losses, their gradients and what counts as right, for each kind of target that a task has.

A loss takes what the output layer gives, before its activation, and the truth, both in the layout
[slots, outputs, batch], or [steps, slots, outputs, batch] where something is told at every step,
and `counted`, which broadcasts against them without outputs: 1 where the loss counts, 0 for padding
of the batch or of a sequence. It returns the mean loss of the batch as `keras.Model.fit` has it,
times its records [slots], the number of records that are right [slots], and the gradient of the
mean loss with respect to what the output layer gave.
"""

from collections.abc import Callable
from typing import Any

from studies.tasks import TOLERANCE, Target
from sweep.engine.runtime import prepare

Tensor = Any
Loss = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def softmax_cross_entropy(logits: Tensor, labels: Tensor, counted: Tensor) -> Any:
    """Categorical cross-entropy of a softmax, from its logits as Keras computes it in `fit`.

    `labels` is one-hot. A record is right if its largest output is its class's.
    """
    tf = prepare()
    shifted = logits - tf.reduce_max(logits, axis=1, keepdims=True)
    exponentials = tf.exp(shifted)
    total = tf.reduce_sum(exponentials, axis=1, keepdims=True)
    losses = tf.math.log(total[:, 0]) - tf.reduce_sum(shifted * labels, axis=1)
    guesses, truth = tf.argmax(logits, axis=1), tf.argmax(labels, axis=1)
    correct = tf.cast(tf.equal(guesses, truth), logits.dtype)
    gradient = (exponentials / total - labels) * (counted / tf.reduce_sum(counted))
    return (
        tf.reduce_sum(losses * counted, axis=1),
        tf.reduce_sum(correct * counted, axis=1),
        gradient,
    )


def squared_error(outputs: Tensor, values: Tensor, counted: Tensor) -> Any:
    """The mean of the squared errors of a record's values, from linear outputs.

    A record is right if each of its values is off by less than `TOLERANCE`.
    """
    tf = prepare()
    errors = outputs - values
    losses = tf.reduce_mean(errors * errors, axis=1)
    correct = tf.cast(tf.reduce_all(tf.abs(errors) < TOLERANCE, axis=1), outputs.dtype)
    gradient = (2.0 / outputs.shape[1]) * errors * (counted / tf.reduce_sum(counted))
    return (
        tf.reduce_sum(losses * counted, axis=1),
        tf.reduce_sum(correct * counted, axis=1),
        gradient,
    )


def binary_cross_entropy(logits: Tensor, sets: Tensor, counted: Tensor) -> Any:
    """The mean of each symbol's binary cross-entropy, from the logits of sigmoid outputs.

    The mean is over symbols and over all steps of the batch's sequences, so a batch weighs the
    steps of long sequences like those of short ones. A record is right if at every step where
    something is asked the logits of the set are all larger than all others.
    """
    tf = prepare()
    steps, slots, outputs, batch = sets.shape
    counted = tf.broadcast_to(counted, [steps, slots, batch])
    records = tf.reduce_max(counted, axis=0)
    total = tf.reduce_sum(counted, axis=[0, 2])
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=sets, logits=logits)
    mean = tf.reduce_sum(tf.reduce_mean(losses, axis=2) * counted, axis=[0, 2]) / total
    least = tf.reduce_min(tf.where(sets > 0.0, logits, logits.dtype.max), axis=2)
    most = tf.reduce_max(tf.where(sets > 0.0, logits.dtype.min, logits), axis=2)
    correct = tf.cast(tf.reduce_all(least > most, axis=0), logits.dtype)
    share = counted / (outputs * total[:, None])
    gradient = (tf.sigmoid(logits) - sets) * share[:, :, None]
    loss = mean * tf.reduce_sum(records, axis=1)
    return loss, tf.reduce_sum(correct * records, axis=1), gradient


LOSSES: dict[Target, Loss] = {
    "class": softmax_cross_entropy,
    "sets": binary_cross_entropy,
    "values": squared_error,
}
