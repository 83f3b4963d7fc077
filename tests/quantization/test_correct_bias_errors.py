"""What bias correction refuses, and the helpers beside it."""

import pytest
import torch
from torch import nn

import torchq
from quantization.coarse_nets import batches, coarse_linear_pair, coarse_pair
from torchq.nn import quantized
from torchq.nn.intrinsic import quantized as intrinsic_quantized
from torchq.quantization._correct_bias import (
    MeanShadowLogger,
    bias_correction,
    get_module,
    get_param,
    parent_child_names,
)


def test_iterator_is_refused():
    with pytest.raises(
        TypeError, match="img_data is gone through once for each layer, which a list_iterator cannot be"
    ):
        bias_correction(*coarse_pair(), iter(batches()))


def test_batch_that_is_a_tensor_is_refused():
    with pytest.raises(TypeError, match="tuples or lists that begin with the model's input, got a tensor"):
        bias_correction(*coarse_pair(), [x for x, _ in batches()])


@pytest.mark.parametrize(("data", "neval_batches"), [([], None), (batches(), 0)], ids=["empty", "none-used"])
def test_no_data_is_an_error(data, neval_batches):
    with pytest.raises(ValueError, match=f"img_data has no batch, or neval_batches is 0: got {neval_batches}"):
        bias_correction(*coarse_pair(), data, neval_batches=neval_batches)


def test_nothing_to_correct_is_an_error():
    with pytest.raises(ValueError, match=r"ConvNet has no module with a bias of the types ConvReLU2d"):
        bias_correction(*coarse_pair(), batches(), {intrinsic_quantized.ConvReLU2d})


def test_norm_is_refused_before_anything_is_corrected():
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    int8 = nn.Sequential(quantized.Linear(3, 3), quantized.LayerNorm(3, torch.ones(3), torch.ones(3), 0.1, 0))
    types = {quantized.Linear, quantized.LayerNorm}
    with pytest.raises(ValueError, match=r"multiply by a matrix or convolve, got '1', a LayerNorm .* of shape \(3,\)"):
        bias_correction(model, int8, [(torchq.quantize_per_tensor(torch.ones(1, 3), 0.1, 0, torchq.quint8),)], types)
    assert torch.equal(int8[0].bias(), torch.zeros(3))


def test_layer_that_is_missing_in_the_float_model_is_an_error():
    model, int8 = coarse_pair()
    del model.fc
    with pytest.raises(ValueError, match="float_model has no 'fc', which is to be corrected"):
        bias_correction(model, int8, batches(), {quantized.Linear})


def test_float_model_that_is_not_fused_is_an_error():
    model, int8, x = coarse_linear_pair(4, 6)
    model.module[0], model.module[1] = model.module[0][0], nn.ReLU()
    with pytest.raises(ValueError, match=r"'module\.1' is a ReLU in float_model and fused in quantized_model"):
        bias_correction(model, int8, [(x,)])


def test_layer_that_is_not_called_is_an_error():
    model, int8 = coarse_pair()
    int8.forward = lambda x: int8.dequant(int8.conv1(int8.quant(x)))
    with pytest.raises(RuntimeError, match="cannot correct 'conv2': ConvNet did not call it"):
        bias_correction(model, int8, batches())


def test_mean_logger_keeps_means():
    logger = MeanShadowLogger()
    assert logger.stats == {"float": None, "quantized": None}
    first, second = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 8.0])
    logger(torchq.quantize_per_tensor(first, 0.5, 0, torchq.quint8), first)
    logger((second, None), second + 1)
    assert logger.count == 2
    assert torch.equal(logger.stats["quantized"], torch.tensor([2.0, 5.0]))
    assert torch.equal(logger.stats["float"], torch.tensor([2.5, 5.5]))
    assert torch.equal(first, torch.tensor([1.0, 2.0]))
    logger.clear()
    assert (logger.count, logger.stats) == (0, {"float": None, "quantized": None})


def test_mean_logger_refuses_outputs_of_different_shapes():
    logger = MeanShadowLogger()
    with pytest.raises(ValueError, match=r"outputs of one shape, got \(2,\) quantized and \(3,\) float$"):
        logger(torch.zeros(2), torch.zeros(3))
    logger(torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match=r"got \(3,\) quantized and \(3,\) float after \(2,\)"):
        logger(torch.zeros(3), torch.zeros(3))


def test_helpers_find_modules_and_parameters():
    model, int8 = coarse_pair()
    assert get_module(model, "fc") is model.fc
    assert get_module(model, "") is model
    with pytest.raises(AttributeError, match="fc2"):
        get_module(model, "fc2")
    assert parent_child_names("layer.0.fc") == ("layer.0", "fc")
    assert parent_child_names("fc") == ("", "fc")
    assert get_param(model.fc, "bias") is model.fc.bias
    assert torch.equal(get_param(int8.fc, "bias"), int8.fc.bias())
    assert get_param(model.fc, "nothing") is None
