"""Sources that use torch.ao, rewritten."""

import textwrap

import pytest

from torchq.migrate.sources import rewrite


def rewritten(source):
    """The new source, without what was not mapped, which must be nothing."""
    result = rewrite(textwrap.dedent(source).lstrip("\n"))
    assert result.unmapped == []
    return result.text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import torch.ao.quantization as tq", "import torchq.quantization as tq"),
        ("import torch.ao.quantization", "import torchq.quantization"),
        ("import os, torch.ao.quantization as tq", "import os, torchq.quantization as tq"),
        ("from torch.ao import quantization", "from torchq import quantization"),
        ("from torch.ao.quantization import prepare as p", "from torchq.quantization import prepare as p"),
        ("from torch.ao.quantization import *", "from torchq.quantization import *"),
        ("from  torch.ao.quantization  import prepare", "from  torchq.quantization  import prepare"),
        ("from torch.quantization import QuantStub", "from torchq.quantization import QuantStub"),
        ("from torch import quint8", "from torchq import quint8"),
        ("from torch import quint8, nn", "from torchq import quint8\nfrom torch import nn"),
        ("x = 1; from torch import quint8, nn", "x = 1; from torchq import quint8; from torch import nn"),
        (
            "from torch.ao.nn.quantized.modules.linear import Linear",
            "from torchq.nn.quantized import Linear",
        ),
        (
            "from torch.ao.nn.quantized.modules import Linear, nothing",
            "from torchq.nn.quantized import Linear\nfrom torch.ao.nn.quantized.modules import nothing",
        ),
    ],
)
def test_imports_name_torchq(before, after):
    assert rewrite(before).text == after


def test_comments_of_an_import_that_becomes_two_stay():
    before = """
        from torch.ao.quantization import (
            prepare,  # observes
            quantize_jit,
        )
    """
    after = "# observes\nfrom torchq.quantization import prepare\nfrom torch.ao.quantization import quantize_jit\n"
    result = rewrite(textwrap.dedent(before).lstrip("\n"))
    assert result.text == after
    assert result.unmapped == [(1, "torch.ao.quantization.quantize_jit")]


def test_import_that_maps_whole_keeps_its_lines():
    before = "from torch.ao.quantization import (\n    QuantStub,  # in\n    prepare,\n)\n"
    assert rewritten(before) == before.replace("torch.ao", "torchq")


def test_long_import_is_broken():
    names = "get_default_qconfig, get_default_qat_qconfig, get_default_qconfig_mapping, convert"
    text = rewrite(f"from torch.ao.quantization import {names}, quantize_jit").text
    first = ",\n    ".join(names.split(", "))
    assert text.startswith(f"from torchq.quantization import (\n    {first},\n)\n")


def test_dotted_names_name_torchq_and_their_module_is_imported():
    before = """
        import torch

        x = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, dtype=torch.quint8)
        f = torch.nn.quantized.FloatFunctional()
    """
    after = """
        import torch
        import torchq
        import torchq.nn.quantized

        x = torchq.quantize_per_tensor(torch.ones(2), 0.1, 0, dtype=torchq.quint8)
        f = torchq.nn.quantized.FloatFunctional()
    """
    assert rewritten(before) == textwrap.dedent(after).lstrip("\n")


def test_aliases_are_followed():
    before = """
        import torch as t
        import torch.nn as nn
        from torch import nn as other
        import torch.ao.quantization as tq

        a = t.qint8, nn.quantized.FloatFunctional, other.quantized.QFunctional, tq.prepare
    """
    text = rewritten(before)
    assert text.endswith(
        "a = torchq.qint8, torchq.nn.quantized.FloatFunctional, torchq.nn.quantized.QFunctional, tq.prepare\n"
    )
    assert "import torchq.quantization as tq\n" in text


def test_torch_is_imported_where_only_torch_ao_was():
    before = """
        import torch.ao.quantization

        x = torch.ao.quantization.prepare, torch.ones(2)
    """
    assert rewritten(before) == (
        "import torchq.quantization\nimport torch\n\nx = torchq.quantization.prepare, torch.ones(2)\n"
    )


def test_attributes_behind_a_name_stay():
    before = "import torch\nx = torch.ao.quantization.default_qconfig.activation().to(torch.float)\n"
    after = "x = torchq.quantization.default_qconfig.activation().to(torch.float)\n"
    assert rewritten(before).endswith(after)


@pytest.mark.parametrize(
    "code",
    [
        "def f(torch):\n    return torch.quint8\n",
        "def f():\n    torch = 1\n    return torch.quint8\n",
        "f = lambda torch: torch.quint8\n",
        "class A:\n    torch = 1\n    x = torch.quint8\n",
        "x = [torch.quint8 for torch in ()]\n",
        "y = 'torch.quint8'  # torch.quint8\n",
        "def f():\n    try:\n        pass\n    except Exception as torch:\n        return torch.quint8\n",
    ],
)
def test_local_variables_and_strings_stay(code):
    source = f"import torch\n\n{code}"
    assert rewritten(source) == source


def test_names_of_a_class_are_not_those_of_its_methods():
    before = "import torch\nclass A:\n    torch = 1\n    def f(self):\n        return torch.quint8\n"
    assert rewritten(before).endswith("return torchq.quint8\n")


def test_functions_see_the_imports_around_them_and_in_them():
    before = """
        def f(x=None):
            import torch
            from torch.ao.quantization import QuantStub
            return torch.quint8, QuantStub
    """
    text = rewritten(before)
    assert "return torchq.quint8, QuantStub" in text
    assert "    from torchq.quantization import QuantStub\n" in text
    assert text.startswith("import torchq\n")


def test_new_import_comes_behind_docstring_and_future():
    before = '"""Doc."""\nfrom __future__ import annotations\n\ndef f():\n    import torch\n    return torch.quint8\n'
    assert rewritten(before).startswith('"""Doc."""\nfrom __future__ import annotations\nimport torchq\n')


def test_new_import_comes_behind_a_last_line_without_an_end():
    assert rewritten("import torch; x = torch.quint8") == "import torch; x = torchq.quint8\nimport torchq"


def test_new_import_comes_before_the_first_use():
    before = "import torch\nx = torch.quint8\nimport torch.nn.functional as F\n"
    assert rewritten(before) == before.replace("torch.q", "torchq.q").replace("torch\nx", "torch\nimport torchq\nx")


@pytest.mark.parametrize(
    "name",
    [
        "torch.ops.quantized.add.default",
        "torch.quint8.itemsize",
        "torch.classes.quantized.LinearPackedParamsBase",
        "torch.ao.quantization.prepare.nothing",
    ],
)
def test_names_behind_what_torchq_has_are_listed_if_it_has_not_them(name):
    result = rewrite(f"import torch\nx = {name}\n")
    assert result.text == f"import torch\nx = {name}\n"
    assert result.unmapped == [(2, name)]


@pytest.mark.parametrize("test", ["q.dtype == torch.quint8", "q.dtype in (torch.qint8, torch.float)", "q.is_quantized"])
def test_questions_that_a_qtensor_answers_otherwise_are_listed(test):
    (found,) = rewrite(f"import torch\nif {test}:\n    pass\n").unmapped
    assert found.line == 2
    assert "QTensor" in found.name


@pytest.mark.parametrize("test", ["q.dtype == torch.float", "f(torch.quint8) == 3", "torch.quint8 == other.kind"])
def test_other_comparisons_are_not_listed(test):
    assert rewrite(f"import torch\nx = {test}\n").unmapped == []


def test_names_without_a_counterpart_stay_and_are_listed():
    source = textwrap.dedent("""
        import torch
        import torch.ao.pruning
        import torch.ao.quantization as tq

        torch.backends.quantized.engine = "fbgemm"
        a = tq.nothing, torch.ao.quantization.quantize_jit
    """)
    result = rewrite(source)
    assert result.text == source.replace("torch.ao.quantization as", "torchq.quantization as")
    assert result.unmapped == [
        (3, "torch.ao.pruning"),
        (6, "torch.backends.quantized.engine"),
        (7, "torch.ao.quantization.nothing"),
        (7, "torch.ao.quantization.quantize_jit"),
    ]


@pytest.mark.parametrize("source", ["", "x = 1\n", "import torch\n\nx = torch.relu\r\n", "# -*- coding: utf-8 -*-\n"])
def test_source_without_quantization_stays(source):
    assert rewritten(source) == source


def test_columns_behind_other_alphabets_are_right():
    assert rewritten("import torch\nx = 'żółw', torch.quint8\n").endswith("x = 'żółw', torchq.quint8\n")


def test_line_ends_stay():
    assert rewritten("import torch\r\nx = torch.quint8\r\n") == "import torch\r\nimport torchq\r\nx = torchq.quint8\r\n"


def test_rewriting_again_changes_nothing():
    once = rewritten("import torch\nimport torch.ao.quantization as tq\nx = torch.quint8, tq.prepare\n")
    assert rewritten(once) == once


def test_source_that_is_none_is_an_error():
    with pytest.raises(SyntaxError):
        rewrite("import torch.ao.\n")
