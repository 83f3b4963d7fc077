"""torch.ao's quantized modules as torchq's."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchq.dtypes import as_qdtype, from_torch, qint8
from torchq.migrate.names import found_for, is_torch_ao
from torchq.migrate.values import as_qtensor, cell_weights, embedding_rows, layer_weights, linear_parameters
from torchq.nn import intrinsic, quantizable, quantized
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.nn.quantized import dynamic
from torchq.qtensor import QTensor
from torchq.quantization import DeQuantStub, QuantStub, QuantWrapper

Builder = Callable[[nn.Module, type], nn.Module]

_CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")

_RECURRENT = ("num_layers", "bias", "batch_first", "dropout", "bidirectional")
_STATES = (
    *("initial_hidden_state_qparams", "initial_cell_state_qparams"),
    *("hidden_state_dtype", "cell_state_dtype"),
)
# Float containers, which stay where a model was not quantized.
_FUSED = (
    "BNReLU2d",
    "BNReLU3d",
    "ConvReLU1d",
    "ConvReLU2d",
    "ConvReLU3d",
    "LinearReLU",
    "LinearLeakyReLU",
    "LinearTanh",
)


def class_path(module: nn.Module) -> str:
    """Returns the dotted name of a module's class."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def is_container(module: nn.Module) -> bool:
    """Whether a module is one of torch.ao that has no weights of its own, but modules in it."""
    return found_for(class_path(module)) in _CONTAINERS


def converted_container(module: nn.Module, children: dict[str, nn.Module]) -> nn.Module:
    """Returns torchq's module for a container, with other modules in it.

    Args:
        module: ``is_container``.
        children: by name; converted.
    """
    made = _CONTAINERS[found_for(class_path(module))](module)
    made._modules.update(children)
    return _with_hooks(made, module)


def converted(module: nn.Module, name: str) -> nn.Module | None:
    """Returns torchq's module for one of torch.ao, or None for a container and any other module.

    Args:
        module: quantized, or float without an observer; or a stand-in for one.
        name: where it is, for messages.

    Raises:
        ValueError: if torchq has no such module, or it cannot hold what this one has.
    """
    path = class_path(module)
    if not is_torch_ao(path) or is_container(module):
        return None
    cls = found_for(path)
    if cls is None or (build := _BUILDERS.get(cls)) is None:
        raise ValueError(f"cannot migrate {name!r}: torchq has no quantized module for {path}")
    try:
        made = build(module, cls)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"cannot migrate {name!r}, a {path}: {error}") from error
    return _with_hooks(made, module)


def _with_hooks(made: nn.Module, module: nn.Module) -> nn.Module:
    for hooks in ("_forward_hooks", "_forward_pre_hooks"):
        getattr(made, hooks).update(getattr(module, hooks))
    return made.train(module.training)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) else value


def _qparams(module: nn.Module) -> tuple[float, int]:
    return float(_number(module.scale)), int(_number(module.zero_point))


def _arguments(module: nn.Module, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names}


def _made_with(*names: str) -> Builder:
    """Makes a builder for a class that takes these attributes, by name."""
    return lambda module, cls: cls(**_arguments(module, names))


def _with_output(*names: str) -> Builder:
    """Makes a builder for a class that takes scale and zero point too."""

    def build(module: nn.Module, cls: type) -> nn.Module:
        scale, zero_point = _qparams(module)
        return cls(scale=scale, zero_point=zero_point, **_arguments(module, names))

    return build


def _with_affine(*names: str) -> Builder:
    """Makes a builder for a class that takes weight and bias too."""

    def build(module: nn.Module, cls: type) -> nn.Module:
        weight, bias = (None if value is None else value.detach() for value in (module.weight, module.bias))
        scale, zero_point = _qparams(module)
        affine = {"weight": weight, "bias": bias, "scale": scale, "zero_point": zero_point}
        return cls(**affine, **_arguments(module, names))

    return build


def _linear(module: nn.Module, cls: type) -> nn.Module:
    weight, bias = linear_parameters(module._packed_params._packed_params)
    slope = [module.negative_slope] if cls is intrinsic_quantized.LinearLeakyReLU else []
    dtype = qint8 if isinstance(weight, QTensor) else torch.float16
    made = cls(module.in_features, module.out_features, *slope, bias is not None, dtype)
    made.set_weight_bias(weight, bias)
    return made


def _static_linear(module: nn.Module, cls: type) -> nn.Module:
    made = _linear(module, cls)
    made.set_output_qparams(*_qparams(module))
    return made


def _dynamic_linear(module: nn.Module, cls: type) -> nn.Module:
    if (version := module.__dict__.get("version", 4)) is not None and version < 4:
        raise ValueError(f"it is of version {version}, which quantizes inputs in 8 bits; torchq does so in 7")
    return _linear(module, cls)


def _convolution(module: nn.Module, cls: type) -> nn.Module:
    # What torch.ao pickles, by position.
    *arguments, transposed, output_padding, groups, padding_mode, weight, bias, _, _, _ = module.__getstate__()
    named = dict(zip(_CONVOLUTION, arguments, strict=True))
    extra = {"output_padding": output_padding} if transposed else {}
    made = cls(**named, **extra, groups=groups, bias=bias is not None, padding_mode=padding_mode)
    made.set_weight_bias(as_qtensor(weight), bias)
    return made


def _static_convolution(module: nn.Module, cls: type) -> nn.Module:
    made = _convolution(module, cls)
    *_, scale, zero_point, _ = module.__getstate__()
    made.set_output_qparams(float(_number(scale)), int(_number(zero_point)))
    return made


def _embedding(module: nn.Module, cls: type) -> nn.Module:
    rows = embedding_rows(module._packed_params._packed_weight)
    names = ("mode", "include_last_offset") if hasattr(module, "mode") else ()
    sizes = (module.num_embeddings, module.embedding_dim)
    return cls(*sizes, _weight=rows, dtype=rows.qdtype, **_arguments(module, names))


def _quantize(module: nn.Module, cls: type) -> nn.Module:
    return cls(*_qparams(module), as_qdtype(module.dtype))


def _sigmoid(module: nn.Module, cls: type) -> nn.Module:
    return cls(module.output_scale, module.output_zero_point)


def _prelu(module: nn.Module, cls: type) -> nn.Module:
    made = cls(*_qparams(module), module.num_parameters)
    made.set_weight(as_qtensor(module.weight))
    return made


def _batch_norm(module: nn.Module, cls: type) -> nn.Module:
    made = cls(module.num_features, module.eps, module.momentum)
    names = ("weight", "bias", "running_mean", "running_var")
    with torch.no_grad():
        for name in names:
            getattr(made, name).copy_(getattr(module, name))
    made.set_output_qparams(*_qparams(module))
    return made


def _functional(module: nn.Module, cls: type) -> nn.Module:
    made = cls()
    made.set_output_qparams(*_qparams(module))
    return made


def _recurrent(module: nn.Module, cls: type) -> nn.Module:
    arguments = _arguments(module, (*_RECURRENT, "dtype"))
    made = cls(module.input_size, module.hidden_size, **arguments)
    made.set_weight_bias(layer_weights([cell.param for cell in module._all_weight_values], made.suffixes()))
    return made


def _cell(module: nn.Module, cls: type) -> nn.Module:
    nonlinearity = {"nonlinearity": module.nonlinearity} if cls is dynamic.RNNCell else {}
    made = cls(module.input_size, module.hidden_size, module.bias, dtype=module.weight_dtype, **nonlinearity)
    # The attributes for biases are those of a new cell; what is packed counts.
    made.set_weight_bias(cell_weights(module._packed_weight_ih, module._packed_weight_hh))
    return made


def _lstm(module: nn.Module, cls: type) -> nn.Module:
    split_gates = any(getattr(part, "split_gates", False) for part in module.modules())
    arguments = _arguments(module, _RECURRENT)
    made = cls(module.input_size, module.hidden_size, **arguments, split_gates=split_gates)
    _take_parts(made, module)
    return made


def _attention(module: nn.Module, cls: type) -> nn.Module:
    bias = linear_parameters(module.linear_Q._packed_params._packed_params)[1] is not None
    names = ("dropout", "add_zero_attn", "kdim", "vdim", "batch_first")
    rows = {name: getattr(module, name) for name in ("bias_k", "bias_v")}
    made = cls(
        module.embed_dim,
        module.num_heads,
        bias=bias,
        add_bias_kv=rows["bias_k"] is not None,
        **_arguments(module, names),
    )
    for name, row in rows.items():
        if row is not None:
            setattr(made, name, as_qtensor(row))
    _take_parts(made, module)
    return made


def _take_parts(made: nn.Module, module: nn.Module) -> None:
    """Puts the converted parts of a module into one with the same parts, and what cells say of their states."""
    for name, part in module.named_modules():
        cls = found_for(class_path(part))
        if name and cls in _BUILDERS:
            made.set_submodule(name, converted(part, name))
        if cls is quantizable.LSTMCell:
            for attribute in _STATES:
                setattr(made.get_submodule(name), attribute, from_torch(getattr(part, attribute)))


def _fused(module: nn.Module, cls: type) -> nn.Module:
    return cls(*module.children())


_INSTANCE_NORM = _with_affine("num_features", "eps", "momentum", "affine", "track_running_stats")

_BUILDERS: dict[type[nn.Module], Builder] = {
    **dict.fromkeys((quantized.Linear, intrinsic_quantized.LinearReLU), _static_linear),
    **dict.fromkeys((intrinsic_quantized.LinearLeakyReLU, intrinsic_quantized.LinearTanh), _static_linear),
    **dict.fromkeys((dynamic.Linear, intrinsic_quantized.dynamic.LinearReLU), _dynamic_linear),
    **dict.fromkeys((quantized.Conv1d, quantized.Conv2d, quantized.Conv3d), _static_convolution),
    **dict.fromkeys(
        (quantized.ConvTranspose1d, quantized.ConvTranspose2d, quantized.ConvTranspose3d), _static_convolution
    ),
    **dict.fromkeys(
        (intrinsic_quantized.ConvReLU1d, intrinsic_quantized.ConvReLU2d, intrinsic_quantized.ConvReLU3d),
        _static_convolution,
    ),
    **dict.fromkeys((intrinsic_quantized.ConvAdd2d, intrinsic_quantized.ConvAddReLU2d), _static_convolution),
    **dict.fromkeys((dynamic.Conv1d, dynamic.Conv2d, dynamic.Conv3d), _convolution),
    **dict.fromkeys((dynamic.ConvTranspose1d, dynamic.ConvTranspose2d, dynamic.ConvTranspose3d), _convolution),
    quantized.LSTM: _lstm,
    quantized.MultiheadAttention: _attention,
    **dict.fromkeys((dynamic.LSTM, dynamic.GRU), _recurrent),
    **dict.fromkeys((dynamic.LSTMCell, dynamic.GRUCell, dynamic.RNNCell), _cell),
    **dict.fromkeys((quantized.Embedding, quantized.EmbeddingBag), _embedding),
    **dict.fromkeys((quantized.BatchNorm2d, quantized.BatchNorm3d), _batch_norm),
    **dict.fromkeys((intrinsic_quantized.BNReLU2d, intrinsic_quantized.BNReLU3d), _batch_norm),
    quantized.LayerNorm: _with_affine("normalized_shape", "eps", "elementwise_affine"),
    quantized.GroupNorm: _with_affine("num_groups", "num_channels", "eps", "affine"),
    **dict.fromkeys((quantized.InstanceNorm1d, quantized.InstanceNorm2d, quantized.InstanceNorm3d), _INSTANCE_NORM),
    quantized.Quantize: _quantize,
    quantized.QFunctional: _functional,
    quantized.Hardswish: _with_output(),
    quantized.ELU: _with_output("alpha"),
    quantized.LeakyReLU: _with_output("negative_slope"),
    quantized.Softmax: _with_output("dim"),
    quantized.Sigmoid: _sigmoid,
    quantized.PReLU: _prelu,
    quantized.ReLU6: _made_with("inplace"),
    quantized.Dropout: _made_with("p", "inplace"),
    **dict.fromkeys((quantized.DeQuantize, quantized.FloatFunctional, QuantStub, DeQuantStub), _made_with()),
    **dict.fromkeys((getattr(intrinsic, name) for name in _FUSED), _fused),
}

# Those that are what is in them, and how an empty one is made.
_CONTAINERS: dict[type[nn.Module], Callable[[nn.Module], nn.Module]] = {
    QuantWrapper: lambda _: QuantWrapper(nn.Module())
}
