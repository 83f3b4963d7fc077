"""compare_weights: which entries of two state dicts are compared, and what the quantized ones become."""

import pytest
import torch
from torch import nn

from ns.nets import dynamic_pair, static_pair, trained_pair
from torchq import QTensor
from torchq.ns._numeric_suite import compare_weights
from torchq.qtensor_packed import PackedQTensor
from torchq.quantization import quantize_dynamic

FLOAT = torch.tensor([[1.0, -2.0], [30.0, 40.0]])


def entries(weight, scale, zero_point):
    return {
        "fc.weight": torch.tensor(weight, dtype=torch.uint8 if isinstance(zero_point[0], float) else torch.int8),
        "fc.weight_scale": torch.tensor(scale),
        "fc.weight_zero_point": torch.tensor(zero_point),
    }


def test_fused_layers_are_compared_with_the_first_part_of_their_container():
    model, int8 = static_pair()
    weights = compare_weights(model.state_dict(), int8.state_dict())
    assert list(weights) == ["conv1.weight", "conv2.weight", "head.0.weight", "head.2.weight"]
    assert torch.equal(weights["conv1.weight"]["float"], model.conv1[0].weight)


def test_quantized_weight_is_that_of_the_module():
    model, int8 = static_pair()
    for key, pair in compare_weights(model.state_dict(), int8.state_dict()).items():
        assert pair["quantized"].has_qparams_of(int8.get_submodule(key.removesuffix(".weight")).weight())
        # Half a step of the widest channel, and two roundings of up to 128 steps in float32.
        step = pair["quantized"].q_per_channel_scales().max()
        assert (pair["quantized"].dequantize() - pair["float"]).abs().max() <= step * (0.5 + 2 * 128 * 2**-24)


def test_one_scale_for_the_whole_weight():
    model, int8 = dynamic_pair()
    pair = compare_weights(model.state_dict(), int8.state_dict())["2.0.weight"]
    assert pair["quantized"].has_qparams_of(int8[2][0].weight())
    assert torch.equal(pair["quantized"].int_repr(), int8[2][0].weight().int_repr())


def test_float_layers_are_compared_too():
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    pair = compare_weights(model.state_dict(), quantize_dynamic(model).state_dict())["1.weight"]
    assert torch.equal(pair["quantized"], pair["float"])
    assert not isinstance(pair["quantized"], QTensor)


def test_weights_in_training_are_float():
    model, prepared = trained_pair()
    weights = compare_weights(model.state_dict(), prepared.state_dict())
    assert list(weights) == ["conv1.weight", "conv2.weight", "head.0.weight", "head.2.weight"]
    assert torch.equal(weights["conv1.weight"]["quantized"], prepared.conv1.weight)


def test_entry_with_scale_and_zero_point_is_a_weight_whatever_its_name():
    quantized = {
        key.replace("weight", "weight_ih_l0", 1): value for key, value in entries([[1, -2]], [1.0], [0]).items()
    }
    weights = compare_weights({"fc.weight_ih_l0": FLOAT[:1]}, quantized)
    assert torch.equal(weights["fc.weight_ih_l0"]["quantized"].dequantize(), FLOAT[:1])


@pytest.mark.parametrize(
    ("weight", "axis"), [([[1, -2], [3, 4]], 0), ([[1, -1], [30, 20]], 1)], ids=["rows", "columns"]
)
def test_channels_of_a_square_weight_lie_along_the_axis_that_fits_the_float_one(weight, axis):
    scales = [[1.0, 10.0], [1.0, 2.0]][axis]
    quantized = compare_weights({"fc.weight": FLOAT}, entries(weight, scales, [0, 0]))["fc.weight"]["quantized"]
    assert quantized.q_per_channel_axis() == axis
    assert torch.equal(quantized.dequantize(), FLOAT)


def test_channels_of_a_transposed_weight_lie_along_axis_one():
    quantized = compare_weights({"fc.weight": FLOAT[:1]}, entries([[1, -1]], [1.0, 2.0], [0, 0]))["fc.weight"]
    assert torch.equal(quantized["quantized"].dequantize(), FLOAT[:1])


def test_rows_with_float_zero_points():
    weights = compare_weights({"fc.weight": FLOAT}, entries([[2, 0], [0, 20]], [1.5, 0.5], [0.75, -60.5]))
    assert torch.equal(weights["fc.weight"]["quantized"].dequantize(), torch.tensor([[1.875, -1.125], [30.25, 40.25]]))


def test_rows_of_four_bits():
    weights = compare_weights({"fc.weight": FLOAT}, entries([[0x03], [0x51]], [1.0, 2.5], [2.0, -11.0]))
    assert isinstance(weights["fc.weight"]["quantized"], PackedQTensor)
    assert torch.equal(weights["fc.weight"]["quantized"].dequantize(), torch.tensor([[1.0, -2.0], [30.0, 40.0]]))


def test_name_that_only_looks_alike_is_no_match():
    with pytest.raises(ValueError, match=r"no weight in common: a\.bc\.weight and ab\.c\.weight"):
        compare_weights({"a.bc.weight": FLOAT}, {"ab.c.weight": FLOAT})


def test_swapped_arguments_are_an_error():
    model, int8 = static_pair()
    with pytest.raises(ValueError, match=r"'conv2\.weight' of float_dict has torch\.int8: the float model's state"):
        compare_weights(int8.state_dict(), model.state_dict())


def test_weight_of_another_shape_is_an_error():
    with pytest.raises(ValueError, match=r"'fc\.weight' has the shape \(2, 2\) with 3 scales, and in float .*\(2, 2\)"):
        compare_weights({"fc.weight": FLOAT}, entries([[1, 2], [3, 4]], [1.0, 1.0, 1.0], [0, 0, 0]))
    with pytest.raises(ValueError, match=r"'fc\.weight' has the shape \(2, 2\) with 2 scales, and in float .*\(1, 2\)"):
        compare_weights({"fc.weight": FLOAT[:1]}, entries([[1, 2], [3, 4]], [1.0, 1.0], [0, 0]))
