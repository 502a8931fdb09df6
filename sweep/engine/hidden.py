"""Hidden progress: what moves in a network while its accuracy does not.

A program that records it adds these series to loss and accuracy, a number for each epoch. Layers
are counted 1, 2 … from the input, and `output` is the dense layer after them.

- `gradient_1` …, `gradient_output`: the Euclidean norm of the loss's gradient with respect to all
  weights of a layer, as the mean over the epoch's updates.
- `update_1` …, `update_output`: the Euclidean norm of what an update changed in a layer's weights,
  as the mean over the epoch's updates.
- `step_size`: the optimizer's step size (see `optimizers`), as the mean over the epoch's updates.

The others are measured when the epoch is over, with its last weights, on all records (of more than
`MOST_RECORDS` on so many, evenly spread), at the last timestep:

- `contrast`: how far apart the classes' logits are, in nats. For a class, a record's score is its
  logit minus the mean of the other logits; the contrast is the mean score of the class's records
  minus that of all others. The series is the mean over the classes; with two classes both have the
  same.
- `separation`: the same in units of the scores' spread, d′ (Green and Swets 1966): the difference
  of the mean scores divided by the root of the mean of the two variances, as the mean over the
  classes. 0 says that the output knows nothing of the label, 1 that about 69 % could be told by it
  with the best threshold, and 3 that 93 % could.
- `label_1` …: the share of a layer's variance that the label explains, R²: the variance over the
  records between the classes' means, summed over the layer's units, divided by the variance summed
  likewise.
- `column_1_layer_1`, `column_2_layer_1` …: the share that an input column explains by a straight
  line: R² again. Columns are those of the task, step by step; with more than `MOST_COLUMNS` there
  are no such series. At chance an R² of n records is about 1 / n.

Where nothing varies, d′ and R² are 0.
"""

from typing import Any

import numpy as np

from sweep.engine.runtime import prepare

MOST_RECORDS = 1024
MOST_COLUMNS = 16

Tensor = Any


def series(layers: int, columns: int) -> tuple[str, ...]:
    """The names of the series in their order, for a network of so many layers and input columns."""
    stack = [str(layer) for layer in range(1, layers + 1)]
    return (
        *(f"gradient_{layer}" for layer in (*stack, "output")),
        *(f"update_{layer}" for layer in (*stack, "output")),
        "step_size",
        "contrast",
        "separation",
        *(f"label_{layer}" for layer in stack),
        *(
            f"column_{column}_layer_{layer}"
            for layer in stack
            for column in range(1, _columns(columns) + 1)
        ),
    )


def measured_rows(records: int, most: int) -> np.ndarray:
    """The records that are measured: all of them, or `most` (at least 1), evenly spread."""
    count = min(records, most, MOST_RECORDS)
    return np.arange(count) * records // count


def movement(
    before: list[Tensor], after: list[Tensor], gradients: list[Tensor], step_size: Tensor
) -> list[Tensor]:
    """Norms of an update's gradients and of what it changed, layer by layer, then its step size.

    The lists hold W, R, b of each layer, then the output's kernel and bias, each
    [slots, rows, columns]; `step_size` and each tensor of the result are [slots].
    """
    changes = [new - old for new, old in zip(after, before, strict=True)]
    return [*_layer_norms(gradients), *_layer_norms(changes), step_size]


def knowledge(states: list[Tensor], logits: Tensor, labels: Tensor, inputs: Tensor) -> list[Tensor]:
    """What logits [slots, outputs, n] and the layers' last states [slots, units, n] know.

    `labels` are one-hot [n, outputs], `inputs` [n, columns]. Each tensor of the result is [slots]:
    contrast, d′, R² of the label by layer, R² of each column by layer.
    """
    tf = prepare()
    members = tf.maximum(tf.reduce_sum(labels, axis=0), 1.0)
    by_label = labels / tf.sqrt(members)
    by_column: list[Tensor] = []
    if _columns(inputs.shape[1]):
        centred = inputs - tf.reduce_mean(inputs, axis=0)
        spread = tf.sqrt(tf.reduce_sum(centred * centred, axis=0))
        by_column = tf.unstack(tf.math.divide_no_nan(centred, spread)[:, :, None], axis=1)
    shares = [_explained(state, [by_label, *by_column]) for state in states]
    return [
        *_apart(logits, labels),
        *(share[0] for share in shares),
        *(share for layer in shares for share in layer[1:]),
    ]


def _columns(columns: int) -> int:
    return columns if columns <= MOST_COLUMNS else 0


def _layer_norms(tensors: list[Tensor]) -> list[Tensor]:
    tf = prepare()
    squares = [tf.reduce_sum(t * t, axis=[1, 2]) for t in tensors]
    layers = [squares[i : i + 3] for i in range(0, len(squares) - 2, 3)]
    return [tf.sqrt(tf.add_n(layer)) for layer in (*layers, squares[-2:])]


def _explained(state: Tensor, directions: list[Tensor]) -> list[Tensor]:
    """The share of the state's variance in the span of each direction's orthonormal columns."""
    tf = prepare()
    # Differences from one record are exactly zero where nothing varies, unlike those from a mean.
    state = state - state[:, :, :1]
    state = state - tf.reduce_mean(state, axis=2, keepdims=True)
    total = tf.reduce_sum(state * state, axis=[1, 2])
    return [
        tf.math.divide_no_nan(tf.reduce_sum((state @ d) ** 2, axis=[1, 2]), total)
        for d in directions
    ]


def _apart(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Contrast and d′, each [slots]."""
    tf = prepare()
    outputs, records = logits.shape[1], logits.shape[2]
    total = tf.reduce_sum(logits, axis=1, keepdims=True)
    scores = (outputs * logits - total) / (outputs - 1.0)
    scores = scores - scores[:, :, :1]
    inside = tf.transpose(labels)[None]
    means, variances = [], []
    for member in (inside, 1.0 - inside):
        count = tf.maximum(tf.reduce_sum(member, axis=2), 1.0)
        mean = tf.reduce_sum(scores * member, axis=2) / count
        apart = (scores - mean[:, :, None]) * member
        means.append(mean)
        variances.append(tf.reduce_sum(apart * apart, axis=2) / count)
    spread = tf.sqrt((variances[0] + variances[1]) / 2.0)
    contrast = means[0] - means[1]
    members = tf.reduce_sum(inside, axis=2)
    counted = tf.cast((members > 0.0) & (members < records), contrast.dtype)
    share = counted / tf.reduce_sum(counted)
    return (
        tf.reduce_sum(contrast * share, axis=1),
        tf.reduce_sum(tf.math.divide_no_nan(contrast, spread) * share, axis=1),
    )
