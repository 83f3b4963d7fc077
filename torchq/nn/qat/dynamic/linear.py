"""The linear layer for training what will quantize its input at run time."""

from typing import Any

from torchq.nn.qat import linear


class Linear(linear.Linear):
    """An ``nn.Linear`` whose weight is fake-quantized, and whose input ``prepare_qat`` fake-quantizes.

    The input's range is that of the present input, as it will be in int8, so its observer must be memoryless: a moving
    average with ``averaging_constant=1``.

    Args:
        in_features: K.
        out_features: N.
        bias: whether there is a bias.
        qconfig: its ``weight`` makes the fake quantizer; such as ``default_dynamic_qat_qconfig``.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        ValueError: without a qconfig, or with one whose activation has a memory.
    """

    def _set_qconfig(self, qconfig: Any) -> None:
        super()._set_qconfig(qconfig)
        activation = qconfig.activation()
        constant = getattr(getattr(activation, "activation_post_process", activation), "averaging_constant", None)
        if constant != 1:
            raise ValueError(
                f"{type(self).__name__} takes a qconfig whose activation forgets earlier inputs, a moving average with "
                f"averaging_constant=1, got {type(activation).__name__} with {constant}"
            )
