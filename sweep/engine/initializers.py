"""Initial weights of many runs at once, the same as Keras gives them.

A run's weight tensors are counted k = 0, 1, 2 … : for each layer its kernel, then its recurrent
kernel; last the output kernel. Tensor k of a run with seed s is what Keras's own initialiser gives
with `seed=1000 * s + k`. Building a Keras model to ask it takes 85 ms a run; here a batch of seeds
is drawn with NumPy.

Keras on TensorFlow draws from Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011), a counter turned into four 32-bit words under a key. TensorFlow gets key and
counter from the seed by one more Philox, takes 23 bits of a word for a uniform number, and makes
normal numbers of pairs of uniform ones by Box and Muller's transform. Uniform numbers are Keras's
to the bit; normal ones differ from them by float rounding, and so do orthogonal matrices, whose QR
decomposition runs here in double precision and in TensorFlow in single.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from studies.run import MAX_SEED, Configuration, gates

Shape = tuple[int, int]

DRAWN_FROM = (
    "cell",
    "layers",
    "units",
    "kernel_initializer",
    "recurrent_initializer",
    "unit_forget_bias",
    "output_initializer",
    "output_scale",
)
"""The settings that decide, with a run's seed, what weights it starts with."""

NUMBERS_IN_CACHE = 1 << 15
"""How many numbers are drawn at a time: their words, as 64 bits, then stay in a core's cache."""


def initial_weights(
    configuration: Configuration, seeds: Sequence[int], features: int, outputs: int
) -> list[np.ndarray]:
    """The weights with which runs of one configuration start, stacked over their seeds.

    `seeds` are in 0 … MAX_SEED; `features` is the number of inputs of a timestep, `outputs` the
    number of classes. Returns float32 tensors [len(seeds), *shape] in the order and the layout of
    `keras.Model.get_weights`: kernel [inputs, gates · units], recurrent kernel
    [units, gates · units] and bias [gates · units] (GRU: [2, gates · units]) of each layer, then
    output kernel [units, outputs] and bias [outputs]. A seed's weights are the same to the bit
    whichever seeds are drawn beside it. Raises ValueError for a seed out of range.
    """
    for seed in seeds:
        if not 0 <= seed <= MAX_SEED:
            raise ValueError(f"a run's seed is from 0 to {MAX_SEED}, got {seed}")
    first = 1000 * np.asarray(seeds, dtype=np.int64)
    bias = _bias(configuration)
    units, columns = configuration.units, gates(configuration.cell) * configuration.units
    widths = [features] + [units] * (configuration.layers - 1)
    weights: list[np.ndarray] = []
    for layer, width in enumerate(widths):
        k = 2 * layer
        weights += [
            _draw(configuration.kernel_initializer, first + k, (width, columns)),
            _draw(configuration.recurrent_initializer, first + k + 1, (units, columns)),
            np.repeat(bias[np.newaxis], len(first), axis=0),
        ]
    k = 2 * configuration.layers
    output = configuration.output_initializer
    weights.append(_draw(output, first + k, (units, outputs), configuration.output_scale))
    weights.append(np.zeros((len(first), outputs), np.float32))
    return weights


def _bias(configuration: Configuration) -> np.ndarray:
    units = configuration.units
    if configuration.cell == "gru":
        return np.zeros((2, 3 * units), np.float32)
    bias = np.zeros(gates(configuration.cell) * units, np.float32)
    if configuration.cell == "lstm" and configuration.unit_forget_bias:
        bias[units : 2 * units] = 1.0
    return bias


def _draw(initializer: str, seeds: np.ndarray, shape: Shape, scale: float = 1.0) -> np.ndarray:
    """float32 [len(seeds), *shape]: a tensor for each of Keras's seeds, times `scale`."""
    tensors = np.empty((len(seeds), *shape), np.float32)
    rows = max(1, NUMBERS_IN_CACHE // math.prod(shape))
    for start in range(0, len(seeds), rows):
        part = slice(start, start + rows)
        tensors[part] = INITIALIZERS[initializer](seeds[part], shape, scale)
    return tensors


def _uniform_within(limit: float, seeds: np.ndarray, shape: Shape) -> np.ndarray:
    low, high = np.float32(-limit), np.float32(limit)
    numbers = _uniform(seeds, math.prod(shape))
    numbers *= high - low
    numbers += low
    return numbers.reshape(-1, *shape)


def _variance_scaling(variance: float, fan: float, seeds: np.ndarray, shape: Shape) -> np.ndarray:
    """Uniform numbers of this variance / fan, as `keras.initializers.VarianceScaling`."""
    return _uniform_within(math.sqrt(3.0 * (variance / max(1.0, fan))), seeds, shape)


def _glorot_uniform(seeds: np.ndarray, shape: Shape, scale: float) -> np.ndarray:
    """Glorot and Bengio, AISTATS 2010."""
    return _variance_scaling(scale**2, (shape[0] + shape[1]) / 2.0, seeds, shape)


def _he_uniform(seeds: np.ndarray, shape: Shape, scale: float) -> np.ndarray:
    """He et al., ICCV 2015."""
    return _variance_scaling(2.0 * scale**2, shape[0], seeds, shape)


def _lecun_uniform(seeds: np.ndarray, shape: Shape, scale: float) -> np.ndarray:
    """LeCun et al., "Efficient BackProp", 1998."""
    return _variance_scaling(scale**2, shape[0], seeds, shape)


def _random_uniform(seeds: np.ndarray, shape: Shape, scale: float) -> np.ndarray:
    return _uniform_within(0.05 * scale, seeds, shape)


def _random_normal(seeds: np.ndarray, shape: Shape, scale: float) -> np.ndarray:
    return (_normal(seeds, math.prod(shape)) * np.float32(0.05 * scale)).reshape(-1, *shape)


def _orthogonal(seeds: np.ndarray, shape: Shape, scale: float) -> np.ndarray:
    """Saxe et al., ICLR 2014: the Q of a normal matrix's QR, signed so that R's diagonal is ≥ 0."""
    tall = max(shape), min(shape)
    matrices = _normal(seeds, math.prod(shape)).reshape(-1, *tall)
    q, r = np.linalg.qr(matrices.astype(np.float64))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, np.newaxis, :]
    q *= scale
    return np.swapaxes(q, 1, 2) if shape[0] < shape[1] else q


def _zeros(seeds: np.ndarray, shape: Shape, scale: float) -> np.ndarray:
    return np.zeros((len(seeds), *shape), np.float32)


INITIALIZERS: dict[str, Callable[[np.ndarray, Shape, float], np.ndarray]] = {
    "glorot_uniform": _glorot_uniform,
    "he_uniform": _he_uniform,
    "lecun_uniform": _lecun_uniform,
    "random_uniform": _random_uniform,
    "random_normal": _random_normal,
    "orthogonal": _orthogonal,
    "zeros": _zeros,
}
"""What each initialiser of a configuration draws: (Keras's seeds, shape, scale) to
[seeds, *shape]."""


def _uniform(seeds: np.ndarray, count: int) -> np.ndarray:
    """float32 [len(seeds), count] in [0, 1), as `tf.random.stateless_uniform([count], [seed, 0])`.

    23 bits of a word are the mantissa of a float in [1, 2).
    """
    numbers = _words(seeds, count)
    numbers &= np.uint32(0x7FFFFF)
    numbers |= np.uint32(0x3F800000)
    return numbers.view(np.float32)[:, :count] - np.float32(1.0)


def _normal(seeds: np.ndarray, count: int) -> np.ndarray:
    """float32 [len(seeds), count], as `tf.random.stateless_normal([count], [seed, 0])`.

    Logarithm, sine and cosine are taken in double precision and rounded: that is within a unit in
    the last place of any C library's single precision, whatever the processor.
    """
    uniform = _uniform(seeds, count + count % 2)
    angle = (2.0 * np.pi * uniform[:, 1::2].astype(np.float64)).astype(np.float32)
    angle = angle.astype(np.float64)
    logarithm = np.log(np.maximum(uniform[:, 0::2], np.float32(1e-7)).astype(np.float64))
    radius = np.sqrt(np.float32(-2.0) * logarithm.astype(np.float32))
    numbers = np.empty_like(uniform)
    np.multiply(np.sin(angle).astype(np.float32), radius, out=numbers[:, 0::2])
    np.multiply(np.cos(angle).astype(np.float32), radius, out=numbers[:, 1::2])
    return numbers[:, :count]


def _words(seeds: np.ndarray, count: int) -> np.ndarray:
    """uint32 [len(seeds), count rounded up to a multiple of 4]: TensorFlow's words for [seed, 0].

    The seed is scrambled by a Philox under TensorFlow's own key: the first two words of the result
    are the key, the last two the upper half of the counter, whose lower half counts the blocks of
    four words.
    """
    zero = np.zeros((1, 1), np.uint64)
    seed = seeds.astype(np.uint64)[:, np.newaxis]
    scrambled = _philox((seed, zero, zero, zero), (zero + 0x3EC8F720, zero + 0x02461E29))
    block = np.arange((count + 3) // 4, dtype=np.uint64)[np.newaxis, :]
    words = _philox((block, zero, scrambled[2], scrambled[3]), (scrambled[0], scrambled[1]))
    return np.stack(words, axis=-1, dtype=np.uint32, casting="unsafe").reshape(len(seeds), -1)


def _philox(
    counter: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    key: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Philox 4x32-10 of 32-bit words held as uint64, which broadcast against each other."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0, product1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c2 = (product1 >> half) ^ c1 ^ k0, (product0 >> half) ^ c3 ^ k1
        c1, c3 = product1 & low, product0 & low
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return c0, c1, c2, c3
