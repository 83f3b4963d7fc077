"""Bias correction: takes the mean error of a quantized layer's output off its bias."""

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from torchq.nn import quantized
from torchq.ns.loggers import Logger, first, in_float
from torchq.qtensor import dequantize

__all__ = ["MeanShadowLogger", "bias_correction", "get_module", "get_param", "parent_child_names"]

_supported_modules_quantized: set[type[nn.Module]] = {quantized.Linear, quantized.Conv2d}


def get_module(model: nn.Module, name: str) -> nn.Module:
    """Returns a module inside a model.

    Args:
        model: the model.
        name: qualified; empty for the model itself.

    Raises:
        AttributeError: if there is none of this name.
    """
    return model.get_submodule(name)


def parent_child_names(name: str) -> tuple[str, str]:
    """Splits a qualified name into that of the parent, empty at the top, and the last part.

    Example:
        >>> parent_child_names("layer1.0.conv"), parent_child_names("conv")
        (('layer1.0', 'conv'), ('', 'conv'))
    """
    parent, _, child = name.rpartition(".")
    return parent, child


def get_param(module: nn.Module, attr: str) -> Any:
    """Returns an attribute of a module, or what it returns if it is a method; None if there is none.

    Float layers have their ``weight`` and ``bias`` as attributes, quantized ones as methods.
    """
    param = getattr(module, attr, None)
    return param() if callable(param) else param


class MeanShadowLogger(Logger):
    """Keeps the mean, over batches, of what a quantized module and its float shadow give.

    The means are taken element by element and are ``stats["quantized"]`` and ``stats["float"]``, float32 of the
    outputs' shape, or None before there was one.

    Attributes:
        count: how many outputs there were.
        float_sum: their sum in float, or None.
        quant_sum: their sum as they are quantized, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clear()

    def forward(self, x: Any, y: Any) -> None:
        """Records ``x`` of the quantized module and ``y`` of the float one.

        Raises:
            ValueError: if they have another shape than those before.
        """
        x, y = (dequantize(first(output)).detach() for output in (x, y))
        shapes = [tuple(output.shape) for output in (x, y, *([self.quant_sum] if self.count else []))]
        if len(set(shapes)) > 1:
            raise ValueError(
                f"MeanShadowLogger takes outputs of one shape, got {shapes[0]} quantized and {shapes[1]} float"
                + (f" after {shapes[2]}" if self.count else "")
            )
        self.quant_sum = self.quant_sum + x if self.count else x
        self.float_sum = self.float_sum + y if self.count else y
        self.count += 1
        self.stats["quantized"] = self.quant_sum / self.count
        self.stats["float"] = self.float_sum / self.count

    def clear(self) -> None:
        """Forgets what was recorded."""
        self.count = 0
        self.float_sum: torch.Tensor | None = None
        self.quant_sum: torch.Tensor | None = None
        self.stats["float"] = None
        self.stats["quantized"] = None


def bias_correction(
    float_model: nn.Module,
    quantized_model: nn.Module,
    img_data: Iterable[Sequence[Any]],
    target_modules: Collection[type[nn.Module]] = _supported_modules_quantized,
    neval_batches: int | None = None,
) -> None:
    """Corrects the biases of a quantized model, in place, so that its layers' mean outputs are those of the float ones.

    Layer by layer, first to last: the quantized model runs on the data, the float layer on the quantized layer's input,
    and what their outputs differ by in the mean, for each channel, is taken off the bias. Layers without a bias stay as
    they are. Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, section 4.2
    (https://arxiv.org/abs/1906.04721).

    Args:
        float_model: the float model, fused as ``quantized_model`` is; its modules have the same names.
        quantized_model: what is corrected.
        img_data: batches, each a tuple or list whose first element is the model's input; gone through once for each
            layer.
        target_modules: types of linear layers and convolutions in ``quantized_model``, by default ``Linear`` and
            ``Conv2d`` of ``torchq.nn.quantized``. With a relu in the module, part of the error is corrected each time:
            that of the channel, times the share of outputs above zero.
        neval_batches: use so many batches; all if None.

    Raises:
        RuntimeError: if the model did not call a layer.
        TypeError: if ``img_data`` cannot be gone through several times.
        ValueError: if there is nothing to correct, a target is neither linear layer nor convolution, ``img_data`` is
            empty, or ``float_model`` is another model.

    Example:
        >>> net = QuantWrapper(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))).eval()
        >>> data = [(torch.randn(16, 4), None) for _ in range(4)]
        >>> net.qconfig = default_qconfig
        >>> int8 = quantize(net, lambda model: [model(x) for x, _ in data], [])
        >>> bias_correction(net, int8, data)
    """
    if isinstance(img_data, Iterator):
        raise TypeError(
            f"img_data is gone through once for each layer, which a {type(img_data).__name__} cannot be: give a list "
            "or a DataLoader"
        )
    _check_same_fusion(float_model, quantized_model)
    targets = {
        name: module
        for name, module in quantized_model.named_modules()
        if type(module) in target_modules and get_param(module, "bias") is not None
    }
    if not targets:
        raise ValueError(
            f"{type(quantized_model).__name__} has no module with a bias of the types "
            f"{', '.join(sorted(kind.__name__ for kind in target_modules))}"
        )
    for name, module in targets.items():
        weight = get_param(module, "weight")
        if weight.dim() < 2:
            raise ValueError(
                f"bias_correction is for layers that multiply by a matrix or convolve, got {name!r}, a "
                f"{type(module).__name__} with a weight of shape {tuple(weight.shape)}"
            )
    for name, module in targets.items():
        try:
            counterpart = get_module(float_model, name)
        except AttributeError as error:
            raise ValueError(f"float_model has no {name!r}, which is to be corrected: {error}") from error
        errors = _errors(name, module, counterpart, quantized_model, itertools.islice(img_data, neval_batches))
        total, count = torch.zeros((), dtype=torch.float64), 0
        for error in errors:
            total, count = total + error.sum(0), count + len(error)
        if not count:
            raise ValueError(f"img_data has no batch, or neval_batches is 0: got {neval_batches}")
        _subtract_from_bias(module, total / count)


def _check_same_fusion(float_model: nn.Module, quantized_model: nn.Module) -> None:
    names = dict(float_model.named_modules())
    for name, module in quantized_model.named_modules():
        if isinstance(module, nn.Identity) and not isinstance(names.get(name, module), nn.Identity):
            raise ValueError(
                f"{name!r} is a {type(names[name]).__name__} in float_model and fused in quantized_model: give the "
                "float model that fuse_modules returned"
            )


def _errors(
    name: str, module: nn.Module, counterpart: nn.Module, model: nn.Module, batches: Iterable[Sequence[Any]]
) -> Iterator[torch.Tensor]:
    """Yields by how much a module's outputs are above those of its float counterpart, float64 ``[..., channels]``."""
    logger = MeanShadowLogger()

    def log(_: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        logger(output, in_float(counterpart, args, kwargs))

    # The output is [..., channels] of a matrix product and [N, channels, ...] of a convolution.
    channels = -1 if get_param(module, "weight").dim() == 2 else 1
    handle = module.register_forward_hook(log, with_kwargs=True)
    try:
        for batch in batches:
            if isinstance(batch, torch.Tensor):
                raise TypeError("img_data gives tuples or lists that begin with the model's input, got a tensor")
            with torch.no_grad():
                model(batch[0])
            if not logger.count:
                raise RuntimeError(f"cannot correct {name!r}: {type(model).__name__} did not call it")
            error = logger.stats["quantized"].double() - logger.stats["float"]
            logger.clear()
            yield error.movedim(channels, -1).flatten(0, -2)
    finally:
        handle.remove()


def _subtract_from_bias(module: nn.Module, error: torch.Tensor) -> None:
    bias = (get_param(module, "bias").detach() - error).float()
    if callable(module.bias):
        module.set_weight_bias(get_param(module, "weight"), bias)
    else:
        module.bias.data.copy_(bias)
