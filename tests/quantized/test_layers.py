"""Functions with packed weights beside those of torch.ops.quantized."""

import pytest
import torch

import torchq
from qtensor.compare import qparams
from quantized.calls import Source
from quantized.weighted_calls import DYNAMIC, FLOAT, LINEAR, ONEDNN, packed_conv, packed_linear
from torchq.qtensor_qparams import choose_dynamic_qparams

pytestmark = pytest.mark.usefixtures("one_thread", "torch_ao")


def both(call, seed):
    return call(torchq.quantized, Source(torchq, seed)), call(torch.ops.quantized, Source(torch, seed))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", LINEAR)
def test_gives_the_integers_of_torch(name, seed):
    given, expected = both(LINEAR[name], seed)
    assert qparams(given) == qparams(expected)
    assert torch.equal(given.int_repr(), expected.int_repr())


@pytest.mark.parametrize("name", ONEDNN)
def test_gives_the_integers_of_torchs_onednn(name):
    if "onednn" not in torch.backends.quantized.supported_engines:
        pytest.skip("torch has this with its onednn engine only")
    torch.backends.quantized.engine = "onednn"
    differing = total = 0
    for seed in range(6):
        given, expected = both(ONEDNN[name], seed)
        assert qparams(given) == qparams(expected)
        difference = (given.int_repr().int() - expected.int_repr().int()).abs()
        assert difference.max() <= 1
        differing, total = differing + int(difference.sum()), total + difference.numel()
    # Its sums are rounded in another order: docs/numerics.md has fewer than 1 in 10,000.
    assert differing <= 1e-2 * total


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", FLOAT)
def test_gives_the_floats_of_torch(name, seed):
    given, expected = both(FLOAT[name], seed)
    # The same integers; a product and a sum in one rounding here, and perhaps two there.
    assert torch.allclose(given, expected, rtol=2**-22, atol=2**-20)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic_convolution_is_torchs_but_for_its_last_rounding(name, seed):
    def call(q, of):
        packed, size = packed_conv(q, of, *DYNAMIC[name])
        x = of.floats(*size)
        return x, getattr(q, name)(x, packed, True)

    (x, given), (_, expected) = both(call, seed)
    # docs/numerics.md, Beside torch.ao: it rounds the result to the scale of its input, and cuts it off there.
    scale, zero_point = choose_dynamic_qparams(x, 0, 255, True)
    rounded = torchq.quantize_per_tensor(given, scale, zero_point, torchq.quint8).int_repr().int()
    steps = (expected / scale + zero_point).round().int()
    assert (rounded - steps).abs().max() <= 1
    assert (rounded != steps).sum() <= 1e-2 * steps.numel()


@pytest.mark.parametrize("relu", [False, True])
def test_float16_weight_gives_the_floats_of_torch(relu):
    name = "linear_relu_dynamic_fp16" if relu else "linear_dynamic_fp16"

    def call(q, of):
        return getattr(q, name)(of.floats(5, 33), q.linear_prepack_fp16(of.floats(7, 33) * 3, of.floats(7)))

    given, expected = both(call, 0)
    # 33 products below 5 * 15, added in any order: 34 roundings of sums below 2**12.
    assert (given - expected).abs().max() <= 34 * 2**12 * 2**-24


def test_float16_weight_that_is_not_packed_gives_the_floats_of_torch():
    def call(q, of):
        return q.linear_dynamic_fp16_unpacked_weight(of.floats(5, 33), of.floats(7, 33) * 3, of.floats(7))

    given, expected = both(call, 0)
    assert (given - expected).abs().max() <= 34 * 2**12 * 2**-24


def test_float16_weight_is_torchs():
    weight = torch.tensor([[1e5, -1e5, 1.0001, 2**-25, 0.1]])
    for bias in (None, torch.tensor([0.3])):
        (given, own), (expected, theirs) = (
            q.linear_unpack_fp16(q.linear_prepack_fp16(weight, bias)) for q in (torchq.quantized, torch.ops.quantized)
        )
        assert torch.equal(given, expected)
        assert own is theirs is None or torch.equal(own, theirs)


CELLS = {
    "quantized_lstm_cell_dynamic": 4,
    "quantized_gru_cell_dynamic": 3,
    "quantized_rnn_tanh_cell_dynamic": 1,
    "quantized_rnn_relu_cell_dynamic": 1,
}


@pytest.mark.parametrize("float16", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_cell_gives_the_states_of_torch(name, float16):
    def call(q, of):
        packed, biases = [], [of.floats(CELLS[name] * 8) for _ in range(2)]
        for size, bias in zip((12, 8), biases, strict=True):
            weight = of.weight(CELLS[name] * 8, size)
            weight = q.linear_prepack_fp16(weight.dequantize(), bias) if float16 else q.linear_prepack(weight, bias)
            packed.append(weight)
        states = [of.floats(5, 8) for _ in range(2)]
        states = states if name == "quantized_lstm_cell_dynamic" else states[0]
        result = getattr(q, name)(of.floats(5, 12), states, *packed, *biases)
        return torch.stack(result) if isinstance(result, tuple) else result

    given, expected = both(call, 2)
    # The same sums of integers; float32 roundings of values below 64 and of functions with slopes of at most 1.
    assert (given - expected).abs().max() <= 8 * 64 * 2**-24


def test_linear_of_several_dimensions_and_of_signed_activations():
    packed, _ = packed_linear(torchq.quantized, Source(torchq, 0), 7, 12)
    of = Source(torchq, 1)
    x = of.quantized(2, 3, 12)
    result = torchq.quantized.linear(x, packed, 0.5, 3)
    assert (result.shape, result.qdtype) == ((2, 3, 7), torchq.qint8)
    unsigned = torchq.QTensor((x.int_repr().int() + 128).to(torch.uint8), x.q_scale(), x.q_zero_point() + 128)
    shifted = torchq.quantized.linear(unsigned, packed, 0.5, 131)
    assert torch.equal(shifted.int_repr().int() - 128, result.int_repr().int())
