"""The parts of ``torchq.quantization.quantize_fx``: a model is traced, fused, annotated, observed and converted."""
