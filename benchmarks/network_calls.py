"""Whole networks as torchq and as the other libraries run them, from the same float weights."""

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.ao.nn.quantized as nnq
import torch.ao.quantization as ao
from torch import nn

import torchq.nn.quantized
import torchq.quantization
from benchmarks.comparison import Call
from benchmarks.harness import installed
from benchmarks.networks import Network
from benchmarks.networks.layers import fusable, settle
from benchmarks.runtimes import onnx_calls

_TORCHQ = SimpleNamespace(
    QuantStub=torchq.quantization.QuantStub,
    DeQuantStub=torchq.quantization.DeQuantStub,
    FloatFunctional=torchq.nn.quantized.FloatFunctional,
)
_TORCH_AO = SimpleNamespace(QuantStub=ao.QuantStub, DeQuantStub=ao.DeQuantStub, FloatFunctional=nnq.FloatFunctional)
_DYNAMIC = {nn.Linear, nn.LSTM}
_CALIBRATION = 4


class Prepared:
    """A network in float with an input, and its conversions.

    Attributes:
        float: the float model.
        x: an input of batch 1.
    """

    def __init__(self, network: Network) -> None:
        """Makes the model with fixed random weights."""
        torch.manual_seed(0)
        self.network = network
        self.x = network.example()
        self.float = network.make(_TORCHQ)
        if not network.dynamic:
            self.float = settle(self.float, self.x)
        self.float.eval()
        self.calibration = [torch.randn_like(self.x) for _ in range(_CALIBRATION)]

    def torchq(self, reduce_range: bool = False) -> nn.Module:
        """The model in int8; ``reduce_range`` gives up a bit of static activations."""
        model = copy.deepcopy(self.float)
        if self.network.dynamic:
            return torchq.quantization.quantize_dynamic(model, _DYNAMIC)
        return self._static(torchq.quantization, model, reduce_range)

    def torch_ao(self, engine: str) -> nn.Module:
        """The model in int8 by torch.ao, its weights packed by an engine."""
        model = self.network.make(_TORCH_AO)
        model.load_state_dict(self.float.state_dict())
        model.eval()
        before, torch.backends.quantized.engine = torch.backends.quantized.engine, engine
        try:
            if self.network.dynamic:
                return ao.quantize_dynamic(model, _DYNAMIC)
            return self._static(ao, model, True)
        finally:
            torch.backends.quantized.engine = before

    def _static(self, flow: object, model: nn.Module, reduce_range: bool) -> nn.Module:
        model = flow.fuse_modules(model, fusable(model))
        model.qconfig = flow.QConfig(
            activation=flow.HistogramObserver.with_args(reduce_range=reduce_range),
            weight=flow.default_per_channel_weight_observer,
        )
        if flow is ao:  # which has no scale per channel for transposed convolutions
            per_tensor = flow.QConfig(activation=model.qconfig.activation, weight=flow.default_weight_observer)
            for module in model.modules():
                if isinstance(module, nn.ConvTranspose2d):
                    module.qconfig = per_tensor
        prepared = flow.prepare(model)
        with torch.no_grad():
            for x in self.calibration:
                prepared(x)
        return flow.convert(prepared)

    def onnx(self) -> bytes:
        """The model in int8 as onnxruntime's own tools quantize it."""
        from onnxruntime.quantization import (
            CalibrationDataReader,
            QuantFormat,
            QuantType,
            quant_pre_process,
            quantize_dynamic,
            quantize_static,
        )

        class Reader(CalibrationDataReader):
            def __init__(self, inputs: list[np.ndarray]) -> None:
                self.remaining = iter(inputs)

            def get_next(self) -> dict[str, np.ndarray] | None:
                x = next(self.remaining, None)
                return None if x is None else {"x": x}

        with tempfile.TemporaryDirectory() as folder:
            exported, prepared, quantized = (str(Path(folder) / name) for name in ("float", "prepared", "int8"))
            torch.onnx.export(
                self.float, (self.x,), exported, input_names=["x"], output_names=["y"], dynamo=False, opset_version=17
            )
            # Symbolic shapes fail on an LSTM, and quantize_dynamic needs none.
            quant_pre_process(exported, prepared, skip_symbolic_shape=self.network.dynamic)
            if self.network.dynamic:
                quantize_dynamic(prepared, quantized, per_channel=True, weight_type=QuantType.QInt8)
            else:
                quantize_static(
                    prepared,
                    quantized,
                    Reader([x.numpy() for x in self.calibration]),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                )
            return Path(quantized).read_bytes()

    def peers(self) -> dict[str, Call]:
        """Calls of the int8 model by every other library."""
        calls: dict[str, Call] = {}
        for engine in ("fbgemm", "x86"):
            model = self.torch_ao(engine)
            calls[f"ao {engine}"] = lambda model=model: model(self.x)
        calls |= onnx_calls(self.onnx, self.x)
        if self.network.dynamic and installed("torchao"):
            calls |= self._torchao()
        return calls

    def _torchao(self) -> dict[str, Call]:
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

        model = copy.deepcopy(self.float)
        quantize_(model, Int8DynamicActivationInt8WeightConfig())
        return {"torchao": lambda: model(self.x)}


def kernel_seconds(call: Callable[[], object]) -> float:
    """The time within torchq's operators of one call: what the wall time would be without the Python around them."""
    with torch.autograd.profiler.profile(use_kineto=False) as profile:
        call()
    return sum(e.self_cpu_time_total for e in profile.key_averages() if e.key.startswith("torchq::")) / 1e6
