"""Sample inputs of every operator: what the tests run it on.

A new operator needs a list here; tests/test_registry.py fails until it has one.
"""

from ops.samples import (
    conv,
    depthwise,
    dynamic,
    elementwise,
    embedding,
    interpolate,
    linear,
    matmul,
    normalize,
    pool,
    quantize,
    recurrent,
    weight,
)
from ops.samples.sample import Sample

SAMPLES: list[Sample] = [
    *quantize.SAMPLES,
    *weight.SAMPLES,
    *linear.SAMPLES,
    *dynamic.SAMPLES,
    *conv.SAMPLES,
    *depthwise.SAMPLES,
    *elementwise.SAMPLES,
    *pool.SAMPLES,
    *matmul.SAMPLES,
    *normalize.SAMPLES,
    *interpolate.SAMPLES,
    *embedding.SAMPLES,
    *recurrent.SAMPLES,
]


def samples_of(op: str, *, typical: bool = False) -> list[Sample]:
    """The samples of one operator; the few that stand for all of them if ``typical``."""
    return [sample for sample in SAMPLES if sample.op == op and (sample.typical or not typical)]
