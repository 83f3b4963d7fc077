"""Modules in parts that become quantized: blank quantized parts, and those that calibration chose."""

from torch import nn

from torchq.dtypes import quint8
from torchq.nn.quantized.functional_modules import FloatFunctional, QFunctional
from torchq.nn.quantized.linear import Linear
from torchq.nn.quantized.quantize import DeQuantize, Quantize


def put_blank_parts(module: nn.Module) -> None:
    """Replaces the float parts of a module by quantized ones without a weight or a scale, in place.

    Args:
        module: in parts, without observers.
    """
    from torchq.quantization.stubs import DeQuantStub, QuantStub

    for name, part in module.named_children():
        if type(part) is nn.Linear:
            module._modules[name] = Linear(part.in_features, part.out_features, part.bias is not None)
        elif type(part) is FloatFunctional:
            module._modules[name] = QFunctional()
        elif type(part) is QuantStub:
            module._modules[name] = Quantize(1.0, 0, quint8)
        elif type(part) is DeQuantStub:
            module._modules[name] = DeQuantize()
        else:
            put_blank_parts(part)


def take_parts(module: nn.Module, observed: nn.Module) -> None:
    """Gives a module the quantized counterparts of another one's parts, in place.

    Args:
        module: with blank parts.
        observed: the same in float, calibrated.

    Raises:
        RuntimeError: if a part was never calibrated.
        ValueError: if the qconfig of a part does not fit.
    """
    from torchq.quantization import convert

    converted = convert(observed, convert_custom_config_dict={})
    for name, part in converted.named_children():
        # What has nothing to observe stays blank.
        if type(part) is not FloatFunctional:
            module._modules[name] = part
