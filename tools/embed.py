#!/usr/bin/env python3
"""Turns files into a C source with one array: embed.py OUT.c SYMBOL BASE FILE...

The array is `const struct embedded SYMBOL[]` of {name relative to BASE, text, bytes}, ended by a
NULL name; the type stands in base/embedded.h. Names are sorted, so the output does not depend on
the order of the arguments."""
import os
import sys

out, symbol, base, files = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
with open(out, "w", encoding="ascii") as f:
    f.write('#include "base/embedded.h"\n\n')
    named = sorted((os.path.relpath(path, base), path) for path in files)
    for i, (_, path) in enumerate(named):
        data = open(path, "rb").read()
        f.write(f"static const unsigned char file_{i}[] = {{")
        f.write(",".join(str(b) for b in data + b"\0"))
        f.write("};\n")
    f.write(f"\nextern const struct embedded {symbol}[];\nconst struct embedded {symbol}[] = {{\n")
    for i, (name, path) in enumerate(named):
        f.write(f'    {{"{name}", (const char *)file_{i}, sizeof file_{i} - 1}},\n')
    f.write("    {0, 0, 0},\n};\n")
