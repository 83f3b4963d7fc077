"""What the tests of observers share."""

from torchq.quantization import (
    HistogramObserver,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    PerChannelMinMaxObserver,
)

RECORDING = [
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    PerChannelMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    HistogramObserver,
]


def observed(observer, *batches):
    """Returns the observer, having seen the batches."""
    for batch in batches:
        observer(batch)
    return observer
