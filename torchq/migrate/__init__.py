"""Models that torch.ao quantized, with the same integers in torchq; and sources that use it (``python -m``).

``convert_model`` takes a model that is in memory, ``convert_state_dict`` what such a model's ``state_dict()`` holds,
and ``load`` a file that ``torch.save`` wrote of either, for which torch.ao need not be there.
"""

from torchq.migrate.loading import load
from torchq.migrate.models import convert_model
from torchq.migrate.states import convert_state_dict

__all__ = ["convert_model", "convert_state_dict", "load"]
