"""The libraries that run ONNX models, each on one thread: a model to a call of it."""

from collections.abc import Callable

import torch

from benchmarks.harness import installed

Call = Callable[[], torch.Tensor]


def onnxruntime_call(model: bytes, x: torch.Tensor) -> Call:
    """A call of the model in onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x.numpy()}
    return lambda: torch.from_numpy(session.run(None, feed)[0])


def openvino_call(model: bytes, x: torch.Tensor) -> Call:
    """A call of the model in openvino."""
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model), "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    )
    request, array = compiled.create_infer_request(), x.numpy()
    request.set_input_tensor(openvino.Tensor(array, shared_memory=True))

    def call() -> torch.Tensor:
        request.infer()
        return torch.from_numpy(request.get_output_tensor().data)

    return call


def onnx_calls(model: Callable[[], bytes], x: torch.Tensor) -> dict[str, Call]:
    """Calls of a model by the libraries that are installed; ``model`` is made only if there is one."""
    makers = {"onnxruntime": onnxruntime_call, "openvino": openvino_call}
    found = {name: make for name, make in makers.items() if installed(name) and installed("onnx")}
    if not found:
        return {}
    graph, x = model(), x.contiguous()
    return {name: make(graph, x) for name, make in found.items()}
