#!/usr/bin/env python3
"""Counts the instructions of each product's inner loop in the machine code.

    VENV/bin/python kernels/tools/build_ptx.py --cubin CUBIN        (VENV as described there)
    VENV/bin/pip install --no-deps nvidia-cuda-cuobjdump==13.5.37 nvidia-cuda-nvdisasm==13.5.37
    inner_loop.py VENV/lib/python3.11/site-packages/nvidia/cu13/bin/cuobjdump CUBIN/*.cubin

The inner loop is the span of the backward branch that holds most FFMA. The span also holds what only some iterations or layouts run (both the 128-bit and the
element-wise way of reading a panel from global memory), so "other" bounds from above what an iteration executes; FFMA and LDS are executed in each.
"""
import collections
import os
import re
import subprocess
import sys

CLASSES = ("FFMA", "LDS.128", "LDS.64", "LDS", "STS.128", "STS", "LDG.128", "LDG", "BAR", "other")


def classify(opcode):
    parts = opcode.split(".")
    width = {"128": ".128", "64": ".64"}.get(next((p for p in parts if p in ("128", "64") and parts[0] != "LDG"), ""), "")
    if parts[0] == "LDG":
        return "LDG.128" if "128" in parts else "LDG"
    if parts[0] in ("LDS", "STS"):
        name = parts[0] + width
        return name if name in CLASSES else parts[0]
    return parts[0] if parts[0] in ("FFMA", "BAR") else "other"


def loops(lines):
    """Instructions as (address, opcode, branch target)."""
    code = []
    for line in lines:
        found = re.match(r"\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\d+ )?([A-Z0-9._]+)(.*?);", line)
        if found:
            target = re.search(r"0x([0-9a-f]+)", found[3]) if found[2].startswith("BRA") else None
            code.append((int(found[1], 16), found[2], int(target[1], 16) if target else None))
    return code


def inner_loop(code):
    best = collections.Counter()
    for address, _, target in code:
        if target is not None and target < address:
            counts = collections.Counter(classify(op) for at, op, _ in code if target <= at <= address)
            if counts["FFMA"] > best["FFMA"]:
                best = counts
    return best


def main():
    cuobjdump, cubins = sys.argv[1], sys.argv[2:]
    environment = dict(os.environ, PATH=os.path.dirname(cuobjdump) + ":" + os.environ["PATH"])
    print(f"{'kernel':28} {'arch':6}" + "".join(f"{c:>8}" for c in CLASSES) + f"{'FFMA/LDS':>10}{'FFMA share':>12}")
    for cubin in sorted(cubins):
        sass = subprocess.run([cuobjdump, "-sass", cubin], capture_output=True, text=True, check=True, env=environment).stdout
        architecture = cubin.split(".")[-2]
        for part in sorted(sass.split("Function : ")[1:]):
            name, *lines = part.splitlines()
            if not name.startswith("sgemm"):
                continue
            counts = inner_loop(loops(lines))
            shared = counts["LDS"] + counts["LDS.64"] + counts["LDS.128"]
            total = sum(counts.values())
            print(
                f"{name:28} {architecture:6}" + "".join(f"{counts[c]:8}" for c in CLASSES) + (f"{counts['FFMA'] / shared:10.1f}" if shared else f"{'-':>10}")
                + f"{counts['FFMA'] / total:12.0%}"
            )


if __name__ == "__main__":
    main()
