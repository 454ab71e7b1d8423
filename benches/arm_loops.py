"""What an ARM processor's scheduler makes of the inner loops of a disassembly, without an ARM processor.

    cargo build --release --target aarch64-unknown-linux-gnu --lib
    aarch64-linux-gnu-objdump -d --no-show-raw-insn target/aarch64-unknown-linux-gnu/release/libchainrule.rlib > ours.s
    python3 benches/arm_loops.py ours.s kernel4neon7product

Takes the innermost loops of the functions whose name matches, and gives each to llvm-mca (19 or newer, from LLVM) for
several processors. Prints the f32 multiply-adds per cycle that the loop would reach if every load hit the first-level
cache. It is a model's estimate and no measured speed.
"""

import re
import subprocess
import sys

PROCESSORS = ["apple-m1", "neoverse-n1", "neoverse-v1", "neoverse-v2", "cortex-x2"]
LANES = 4
ITERATIONS = 1000


def functions(path):
    """The instructions of each function, as pairs of address and text."""
    found, current = {}, None
    with open(path, errors="replace") as lines:
        for line in lines:
            if name := re.match(r"[0-9a-f]+ <(.*)>:$", line):
                current = found.setdefault(name[1], [])
            elif (instruction := re.match(r"\s*([0-9a-f]+):\s+(.*)", line)) and current is not None:
                current.append((int(instruction[1], 16), instruction[2].strip()))
    return found


def innermost_loops(instructions):
    """Instructions between a branch backwards and its target, without those that hold another such piece."""
    index = {address: i for i, (address, _) in enumerate(instructions)}
    loops = []
    for i, (address, text) in enumerate(instructions):
        branch = re.match(r"(?:b\.\w+|cbn?z\s+\w+,|b|tbn?z\s+\w+, #\d+,)\s+([0-9a-f]+)\s*<", text)
        if branch and int(branch[1], 16) <= address and int(branch[1], 16) in index:
            loops.append((index[int(branch[1], 16)], i))
    inside = lambda a, b: a != b and b[0] <= a[0] and a[1] <= b[1]
    return [instructions[s : e + 1] for s, e in loops if not any(inside(other, (s, e)) for other in loops)]


def assembler(loop):
    """The loop as text for an assembler: branches go to its end."""
    lines = []
    for _, text in loop:
        text = re.sub(r"\s*(//|<).*", "", text)
        if re.match(r"b\.|b\s|cbn?z|tbn?z", text):
            text = re.sub(r"[0-9a-f]+$", "1f", text)
        lines.append(text)
    return "\n".join([*lines, "1:", ""])


def multiply_adds_per_cycle(loop, count, processor):
    command = ["llvm-mca-19", "-mtriple=aarch64", f"-mcpu={processor}", f"-iterations={ITERATIONS}"]
    output = subprocess.run(command, input=assembler(loop), capture_output=True, text=True, check=True).stdout
    cycles = int(re.search(r"Total Cycles:\s+(\d+)", output)[1])
    return LANES * count * ITERATIONS / cycles


def main():
    path, pattern = sys.argv[1:3]
    print("| instructions | FMLA |", " | ".join(PROCESSORS), "|")
    print("|---|---|" + "---|" * len(PROCESSORS))
    for name, instructions in functions(path).items():
        if not re.search(pattern, name):
            continue
        for loop in innermost_loops(instructions):
            count = sum(text.startswith("fmla") for _, text in loop)
            if count >= 12:
                found = [f"{multiply_adds_per_cycle(loop, count, p):.2f}" for p in PROCESSORS]
                print(f"| {len(loop)} | {count} |", " | ".join(found), "|")


main()
