#!/usr/bin/env python3
"""Writes side_by_side_reference.h: exact divergences between two models, by transformers in float64.

    side_by_side_reference.py FOLDER >tests/backends/side_by_side_reference.h

FOLDER is stories260k as a Hugging Face folder. The other model is the same with the lower 20 bits
of every weight set to 0: three bits of mantissa are left. Needs torch, transformers, safetensors."""
import sys

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXTS = ["Once upon a time, there was a little girl named Lily. She loved to play with her dog.",
         "The sun was hot and the boy wanted to"]


def truncated(model):
    weights = load_file(sys.argv[1] + "/model.safetensors")
    cut = {name: torch.from_numpy((w.numpy().view(np.uint32) & np.uint32(0xFFF00000)).view(np.float32))
           for name, w in weights.items()}
    cut.setdefault("lm_head.weight", cut["model.embed_tokens.weight"])
    model.load_state_dict({k: v.double() for k, v in cut.items()}, strict=True)
    return model


def load():
    return AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float64).eval()


base, other = load(), truncated(load())
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
print("/* Written by side_by_side_reference.py; see there. */")
print("static const struct token_divergence reference[] = {")
for position, text in enumerate(TEXTS):
    ids = tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        a, b = (torch.log_softmax(m(ids).logits[0], -1) for m in (base, other))
    kl = (a.exp() * (a - b)).sum(-1)
    first = 1
    if position:  # what it has in common with the first text counts there
        before = tokenizer(TEXTS[0]).input_ids
        while before[first] == ids[0, first]:
            first += 1
    for place in range(first, ids.shape[1]):
        t, row = int(ids[0, place]), place - 1
        print(f"    {{{position}, {place}, {t}, {a[row, t]:.12g}, {b[row, t]:.12g}, {kl[row]:.12g}, "
              f"{str(bool(a[row].argmax() == b[row].argmax())).lower()}}},")
print("};")
