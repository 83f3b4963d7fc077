"""Scales and zero points are those that torch.ao chose when it was frozen; needs no torch.ao."""

import json

import pytest

import torchq
from quantization.golden_observers import DATA, PATH, SETTINGS, build, observe
from torchq.quantization import observer

FROZEN = json.loads(PATH.read_text())


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("setting", SETTINGS)
def test_chooses_what_torch_ao_chose(setting, data):
    assert observe(build(observer, torchq, setting), data) == FROZEN[f"{setting} {data}"]
