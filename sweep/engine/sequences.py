"""Sequences of tensors, a step after the other, and loops along them.

Up to a length of `UNROLLED` a sequence is a list with a tensor for each step, and a loop over it is
written out; longer ones are tensors stacked over steps, and a loop is one of the program's own.
`length` is the number of steps everywhere; a step's tensors are in the layout
[slots, features, batch].
"""

from typing import Any

from sweep.engine.runtime import prepare

UNROLLED = 8
"""Written out, a loop runs quicker, and takes longer to compile with every step."""

Tensor = Any


def unrolled(length: int) -> bool:
    """Whether loops over so many steps are written out."""
    return length <= UNROLLED


def split(x: Tensor, length: int) -> Any:
    """The steps of x [slots, length · features, batch]."""
    tf = prepare()
    if unrolled(length):
        return tf.split(x, length, axis=1)
    slots, rows, batch = x.shape
    return tf.transpose(tf.reshape(x, [slots, length, rows // length, batch]), [1, 0, 2, 3])


def stacked(sequence: Any, length: int) -> Tensor:
    """The steps as one tensor [length, slots, features, batch]."""
    return prepare().stack(sequence) if unrolled(length) else sequence


def unstacked(tensor: Tensor, length: int) -> Any:
    """The sequence whose steps are stacked in a tensor."""
    return prepare().unstack(tensor) if unrolled(length) else tensor


def only_last(last: Tensor, length: int) -> Any:
    """Zeros, but for the last step."""
    tf = prepare()
    if unrolled(length):
        return [tf.zeros_like(last)] * (length - 1) + [last]
    return tf.concat([tf.zeros([length - 1, *last.shape]), last[None]], axis=0)


def zipped(length: int, *sequences: Any) -> Any:
    """A sequence of tuples from a tuple of sequences."""
    return list(zip(*sequences, strict=True)) if unrolled(length) else sequences


def unzipped(steps: Any, length: int) -> Any:
    """A tuple of sequences from a sequence of tuples."""
    return tuple(list(part) for part in zip(*steps, strict=True)) if unrolled(length) else steps


def scan(step: Any, carry: Any, items: Any, length: int, *, backwards: bool = False) -> Any:
    """Apply `step(carry, item) -> carry, result` along a sequence: last carry, all results."""
    tf = prepare()
    if unrolled(length):
        results: list[Any] = [None] * length
        order = range(length)
        for t in reversed(order) if backwards else order:
            carry, results[t] = step(carry, items[t])
        return carry, results

    def place(k: Any) -> Any:
        return length - 1 - k if backwards else k

    def item(k: Any) -> Any:
        return tf.nest.map_structure(lambda sequence: sequence[place(k)], items)

    # The first step is taken outside the loop: it says what a step returns.
    carry, first = step(carry, item(0))
    flat = tf.nest.flatten(first)
    arrays = [tf.TensorArray(part.dtype, length, element_shape=part.shape) for part in flat]
    arrays = [a.write(place(0), part) for a, part in zip(arrays, flat, strict=True)]

    def body(k: Any, carry: Any, arrays: Any) -> Any:
        carry, result = step(carry, item(k))
        parts = tf.nest.flatten(result)
        return k + 1, carry, [a.write(place(k), p) for a, p in zip(arrays, parts, strict=True)]

    _, carry, arrays = tf.while_loop(
        lambda k, *_: k < length, body, (1, carry, arrays), maximum_iterations=length - 1
    )
    return carry, tf.nest.pack_sequence_as(first, [a.stack() for a in arrays])
