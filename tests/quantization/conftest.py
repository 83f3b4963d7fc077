import pytest
import torch


@pytest.fixture
def torch_ao():
    """torch.ao.quantization on its fbgemm engine; tests that compare with it are skipped where it is gone."""
    module = pytest.importorskip("torch.ao.quantization", reason="torch.ao is what torchq is compared with")
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("this torch has no fbgemm engine")
    engine = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    yield module
    torch.backends.quantized.engine = engine
