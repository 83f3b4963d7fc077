"""What the functions of torchq.quantized refuse, and how they say so."""

import inspect

import pytest
import torch

import torchq
from torchq import quantized

X = torchq.quantize_per_tensor(torch.randn(2, 4, generator=torch.Generator().manual_seed(0)), 0.1, 10, torchq.quint8)
IMAGES = torchq.quantize_per_tensor(torch.ones(1, 2, 5, 5), 0.1, 10, torchq.quint8)
LINEAR = quantized.linear_prepack(torchq.quantize_per_tensor(torch.ones(3, 4), 0.1, 0, torchq.qint8))
CONV_WEIGHT = torchq.quantize_per_tensor(torch.ones(3, 2, 1, 1), 0.1, 0, torchq.qint8)
CONV = quantized.conv2d_prepack(CONV_WEIGHT, None, [1, 1], [0, 0], [1, 1], 1)
HALF = quantized.linear_prepack_fp16(torch.ones(3, 4))
TABLE = torch.randn(4, 8)
ROWS = quantized.embedding_bag_prepack(
    torchq.quantize_per_channel(TABLE, torch.ones(4), torch.zeros(4), 0, torchq.quint8)
)
INDICES = torch.tensor([0, 1])

CALLS = {
    "add takes a quantized tensor, got a float tensor": lambda q: q.add(torch.ones(2, 4), X, 0.1, 0),
    "add with a number takes no scale and zero_point, got 0.1 and 0": lambda q: q.add(X, 2.0, 0.1, 0),
    "add of two tensors takes scale and zero_point, or out, got None, None and no out": lambda q: q.add(X, X),
    "or out, got 0.1, 3 and out": lambda q: q.mul(X, X, 0.1, 3, out=X),
    "add_relu writes to a QTensor with one scale, got a Tensor": lambda q: q.add_relu(X, X, out=torch.ones(2, 4)),
    r"out must have the result's shape, \(2, 4\), got \(2, 3\)": lambda q: q.add(X, X, X[:, :3].clone()),
    r"add_scalar takes a number or a tensor of one, got one of shape \(2,\)": lambda q: q.add_scalar(X, torch.ones(2)),
    "mul_scalar takes a number or a tensor of one, got a str": lambda q: q.mul_scalar(X, "2"),
    "cat takes at least one tensor, got none": lambda q: q.cat([], 0, None, None),
    "scale must be a number and zero_point an integer, got 0.1 and 2.5": lambda q: q.sigmoid(X, 0.1, 2.5),
    "zero_point must lie in .*256": lambda q: q.hardswish(X, 0.1, 256),
    "clamp takes a min, a max or both, got neither": lambda q: q.clamp(X),
    "inplace=True": lambda q: q.leaky_relu(X, 0.1, True, 0.1, 0),
    r"batch_norm2d takes an input of shape \[N, C, H, W\], got \(2, 4\)": lambda q: q.batch_norm2d(
        X, None, None, torch.zeros(4), torch.ones(4), 1e-5, 0.1, 0
    ),
    "linear_prepack takes a QTensor as weight, got Tensor": lambda q: q.linear_prepack(torch.ones(3, 4)),
    r"linear_prepack takes a weight of shape \[N, K\], got \(4,\)": lambda q: q.linear_prepack(X[0]),
    "takes a torchq.qint8 weight, got torchq.quint8": lambda q: q.linear_prepack(X),
    "linear takes what linear_prepack returns, got ConvPackedParams": lambda q: q.linear(X, CONV, 0.1, 0),
    "linear takes a quantized tensor, got a float tensor": lambda q: q.linear(torch.ones(2, 4), LINEAR, 0.1, 0),
    r"takes an input of shape \[..., 4\], got \(2, 3\)": lambda q: q.linear(X[:, :3], LINEAR, 0.1, 0),
    "linear_dynamic takes a float tensor, got a quantized one": lambda q: q.linear_dynamic(X, LINEAR),
    "linear_dynamic takes a float tensor, got torch.int64": lambda q: q.linear_dynamic(INDICES, LINEAR),
    "linear_dynamic_fp16 takes what linear_prepack_fp16 returns, got LinearPackedParams": lambda q: (
        q.linear_dynamic_fp16(torch.ones(2, 4), LINEAR)
    ),
    "a float16 weight is made of a float one of shape .*, got a quantized one": lambda q: q.linear_prepack_fp16(X),
    r"bias must have shape \(3,\), got \(4,\)": lambda q: q.linear_prepack_fp16(torch.ones(3, 4), torch.ones(4)),
    "conv1d_prepack takes a weight of 3 dimensions": lambda q: q.conv1d_prepack(CONV_WEIGHT, None, [1], [0], [1], 1),
    "conv2d takes what conv2d_prepack returns, got LinearPackedParams": lambda q: q.conv2d(IMAGES, LINEAR, 0.1, 0),
    "conv3d_stride takes what conv3d_prepack returns": lambda q: q.conv3d_stride(CONV),
    "conv_transpose2d takes what conv_transpose2d_prepack returns": lambda q: q.conv_transpose2d(IMAGES, CONV, 0.1, 0),
    r"takes an input of shape \[N, 2, H, W\], got \(2, 4\)": lambda q: q.conv2d(X, CONV, 0.1, 0),
    "takes a float tensor, got a quantized one": lambda q: q.conv2d_dynamic(IMAGES, CONV),
    "gives torchq.quint8, got an extra_input of torchq.qint8": lambda q: q.conv2d_add(
        IMAGES, torchq.quantize_per_tensor(torch.ones(1, 3, 5, 5), 0.1, 0, torchq.qint8), CONV, 0.1, 0
    ),
    "embedding_bag_prepack takes a QTensor, got Tensor": lambda q: q.embedding_bag_prepack(TABLE),
    "embedding_4bit takes rows of 4 bits, got rows of 8": lambda q: q.embedding_4bit(ROWS, INDICES),
    "got pruned_weights=True": lambda q: q.embedding_byte(ROWS, INDICES, True),
    "takes a compressed_indices_mapping with pruned_weights=True, got pruned_weights=True and no": lambda q: (
        q.embedding_bag_byte(ROWS, INDICES, INDICES, pruned_weights=True)
    ),
    "takes rows of uint8, longer than the 4 bytes of scale and bias": lambda q: q.embedding_bag_4bit_unpack(TABLE),
    "a multiple of 4 columns": lambda q: q.embedding_bag_2bit_prepack(TABLE[:, :6]),
    "takes a table of finite values, got NaN or infinity": lambda q: q.embedding_bag_byte_prepack(TABLE / 0),
    "has scale and bias in float16, got values from -100000": lambda q: q.embedding_bag_4bit_prepack(
        torch.tensor([[-1e5, 0.0]])
    ),
    "takes a float32 or float16 table, got torch.float64": lambda q: q.embedding_bag_byte_prepack(TABLE.double()),
    r"rowwise_min_max must have shape \(4, 2\), got \(2, 4\)": lambda q: (
        q.embedding_bag_byte_prepack_with_rowwise_min_max(TABLE, torch.ones(2, 4))
    ),
    "indices must be rows, of 4, got 0 to 9": lambda q: q.embedding_bag_2bit_rowwise_offsets(
        q.embedding_bag_2bit_prepack(TABLE), torch.tensor([[0, 9]])
    ),
    "takes two weights that linear_prepack, .* got LinearPackedParams and LinearPackedParamsFp16": lambda q: (
        q.quantized_gru_cell_dynamic(torch.ones(1, 4), torch.ones(1, 1), LINEAR, HALF, None, None)
    ),
    "takes the bias that w_hh was packed with": lambda q: q.quantized_rnn_tanh_cell_dynamic(
        torch.ones(1, 4), torch.ones(1, 4), LINEAR, LINEAR, None, torch.ones(3)
    ),
    "takes a hidden and a cell state, got 1 states": lambda q: q.quantized_lstm_cell_dynamic(
        torch.ones(1, 4), [torch.ones(1, 4)], LINEAR, LINEAR, None, None
    ),
}


@pytest.mark.parametrize("message", CALLS)
def test_says_what_is_wrong(message):
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        CALLS[message](quantized)


@pytest.mark.skipif(not hasattr(torch.ops, "quantized"), reason="this torch has no functions of quantized tensors")
def test_arguments_are_those_of_torch():
    different = []
    for name in quantized.__all__:
        # Overloads by the types of the arguments; classes.
        if name in ("add", "add_relu", "mul", "mul_relu") or name.endswith(("Params", "Fp16")):
            continue
        packet = getattr(torch.ops.quantized, name)
        given = [(p.name, p.default) for p in inspect.signature(getattr(quantized, name)).parameters.values()]
        schemas = [getattr(packet, overload)._schema.arguments for overload in packet.overloads()]
        empty = inspect.Parameter.empty
        expected = [[(a.name, a.default_value if a.has_default_value() else empty) for a in s] for s in schemas]
        if given not in expected:
            different.append((name, given, expected))
    assert different == []


def test_integers_of_an_input_written_in_place_are_the_result():
    x = X.clone()
    assert quantized.relu6(x, True) is x
    assert torch.equal(x, quantized.relu6(X))
