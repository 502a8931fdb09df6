"""Losses, their gradients and what counts as correct, in the layout [slots, outputs, batch]."""

from typing import Any

from sweep.engine.runtime import prepare

Tensor = Any


def softmax_cross_entropy(logits: Tensor, labels: Tensor, mask: Tensor) -> Any:
    """Categorical cross-entropy of a softmax, from its logits as Keras computes it in `fit`.

    `labels` is one-hot, shaped like `logits`; `mask` [batch] is 1 for a record and 0 for padding.
    Returns the loss summed over records [slots], the number of records whose largest output is
    their class [slots], and the gradient of the mean loss with respect to the logits.
    """
    tf = prepare()
    shifted = logits - tf.reduce_max(logits, axis=1, keepdims=True)
    exponentials = tf.exp(shifted)
    total = tf.reduce_sum(exponentials, axis=1, keepdims=True)
    losses = tf.math.log(total[:, 0]) - tf.reduce_sum(shifted * labels, axis=1)
    guesses, truth = tf.argmax(logits, axis=1), tf.argmax(labels, axis=1)
    correct = tf.cast(tf.equal(guesses, truth), logits.dtype)
    gradient = (exponentials / total - labels) * (mask / tf.reduce_sum(mask))
    return tf.reduce_sum(losses * mask, axis=1), tf.reduce_sum(correct * mask, axis=1), gradient
