#!/usr/bin/env python3
"""Compiles kernels/*.cu with NVRTC, without a GPU, to the committed PTX and to machine code for a resource report.

    python3 -m venv VENV && VENV/bin/pip install --require-hashes -r kernels/tools/requirements.txt
    VENV/bin/python kernels/tools/build_ptx.py              writes kernels/ptx/ and kernels/resources.txt
    VENV/bin/python kernels/tools/build_ptx.py --check      compares instead, and fails if anything differs
    VENV/bin/python kernels/tools/build_ptx.py --cubin DIR  also writes the machine code, for a disassembler

The version of NVRTC is pinned, because another version writes other PTX, and a newer one needs a newer driver
(12.4: PTX 8.4, any driver for CUDA 12.4 or later).
"""
import argparse
import ctypes
import pathlib
import re
import sys
import sysconfig

KERNELS = pathlib.Path(__file__).resolve().parent.parent
VERSION = (12, 4)
PTX_ARCHITECTURE = "compute_80"
REPORTED = ("sm_80", "sm_90")
# A product fuses with a sum only where the source says fmaf, so that the CPU rounds in the same places.
OPTIONS = ["--std=c++17", "--fmad=false"]

# Limits of a multiprocessor of compute capability 8.0 and 9.0 (CUDA C++ Programming Guide, technical specifications
# per compute capability). The system takes 1 KiB of each block's shared memory.
REGISTERS, REGISTER_UNIT, WARPS, BLOCKS = 65536, 256, 64, 32
SHARED, SHARED_UNIT, SHARED_RESERVED = {"sm_80": 164 * 1024, "sm_90": 228 * 1024}, 128, 1024
SHARED_STATIC_LIMIT = 48 * 1024


def round_up(value, unit):
    return -(-value // unit) * unit


class Nvrtc:
    """The calls of NVRTC that are needed, through ctypes."""

    def __init__(self):
        site = pathlib.Path(sysconfig.get_path("purelib"))
        library = site / "nvidia/cuda_nvrtc/lib/libnvrtc.so.12"
        if not library.exists():
            sys.exit(f"{library} is missing: install kernels/tools/requirements.txt")
        self.calls = ctypes.CDLL(str(library))
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.calls.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        if (major.value, minor.value) != VERSION:
            sys.exit(f"NVRTC {VERSION[0]}.{VERSION[1]} expected, found {major.value}.{minor.value}")

    def _read(self, program, size_of, get):
        size = ctypes.c_size_t()
        if getattr(self.calls, size_of)(program, ctypes.byref(size)) or size.value == 0:
            return b""
        buffer = ctypes.create_string_buffer(size.value)
        getattr(self.calls, get)(program, buffer)
        return buffer.raw

    def compile(self, source, architecture, extra=()):
        """PTX, machine code and log of one file."""
        headers = sorted(KERNELS.glob("*.cuh"))
        # Headers are given under both names that the sources use: a file of the ladder includes "../common.cuh".
        names = [name for header in headers for name in (header.name, "../" + header.name)]
        texts = [header.read_bytes() for header in headers for _ in range(2)]
        program = ctypes.c_void_p()
        array = lambda values: (ctypes.c_char_p * len(values))(*values)
        created = self.calls.nvrtcCreateProgram(
            ctypes.byref(program), source.read_bytes(), source.name.encode(), len(names), array(texts), array([n.encode() for n in names])
        )
        options = [f"--gpu-architecture={architecture}", *OPTIONS, *extra]
        failed = created or self.calls.nvrtcCompileProgram(program, len(options), array([o.encode() for o in options]))
        log = self._read(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").rstrip(b"\0").decode().strip()
        if failed:
            sys.exit(f"{source.name}: {log}")
        ptx = self._read(program, "nvrtcGetPTXSize", "nvrtcGetPTX").rstrip(b"\0")
        cubin = self._read(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
        self.calls.nvrtcDestroyProgram(ctypes.byref(program))
        return ptx, cubin, log


def occupancy(architecture, registers, shared, threads):
    """Resident warps of a multiprocessor, as a share of the maximum.

    blocks = min(most blocks, warps / block's warps, registers / (block's warps * a warp's registers),
                 shared memory / a block's), all rounded down.
    A warp's registers are rounded up to a multiple of 256; a block's shared memory, with the system's 1 KiB, to a
    multiple of 128.
    """
    warps = round_up(threads, 32) // 32
    by_registers = REGISTERS // round_up(registers * 32, REGISTER_UNIT) // warps
    by_shared = SHARED[architecture] // round_up(shared + SHARED_RESERVED, SHARED_UNIT)
    blocks = min(BLOCKS, WARPS // warps, by_registers, by_shared)
    return blocks * warps / WARPS, blocks


def threads_of(ptx):
    """The block size that each kernel is compiled for."""
    found = re.findall(r"\.entry (\w+)\(.*?\)\s*\.maxntid (\d+), (\d+), (\d+)", ptx, re.S)
    return {name: int(x) * int(y) * int(z) for name, x, y, z in found}


def resources(log, threads, architecture):
    """One line per kernel from the report of ptxas."""
    lines = []
    for block in log.split("Compiling entry function '")[1:]:
        name = block.split("'")[0]
        number = lambda pattern: sum(int(n) for n in re.findall(pattern, block)[:1])
        registers, shared = number(r"Used (\d+) registers"), number(r"(\d+) bytes smem")
        spills = number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")
        stack = number(r"(\d+) bytes stack frame")
        if spills or registers * threads[name] > REGISTERS or shared > SHARED_STATIC_LIMIT:
            sys.exit(f"{name} on {architecture}: {registers} registers, {shared} bytes shared, {spills} bytes spilled")
        share, blocks = occupancy(architecture, registers, shared, threads[name])
        lines.append(f"{name:30} {architecture:6} {threads[name]:7} {registers:9} {shared:8} {stack:6} {spills:7} {blocks:7} {share:10.0%}")
    return lines


def build(cubins):
    nvrtc = Nvrtc()
    files, table = {}, []
    for source in sorted(KERNELS.glob("*.cu")) + sorted(KERNELS.glob("sgemm_ladder/*.cu")):
        where = (pathlib.Path("ptx") / source.relative_to(KERNELS)).with_suffix(".ptx")
        ptx, _, _ = nvrtc.compile(source, PTX_ARCHITECTURE)
        files[where] = ptx
        for architecture in REPORTED:
            _, cubin, log = nvrtc.compile(source, architecture, ["--ptxas-options=-v"])
            table += resources(log, threads_of(ptx.decode()), architecture)
            if cubins:
                cubins.mkdir(parents=True, exist_ok=True)
                (cubins / f"{source.stem}.{architecture}.cubin").write_bytes(cubin)
    head = (
        "Resources of each kernel, as NVRTC 12.4.127 compiles it; written by tools/build_ptx.py. Static facts of the compiler, nothing measured.\n"
        "shared: bytes of static shared memory; stack: bytes of a thread's stack; spills: bytes; blocks: resident on a multiprocessor;\n"
        "occupancy: resident warps of 64, computed from the columns before (the formula stands in tools/build_ptx.py).\n\n"
        f"{'kernel':30} {'arch':6} {'threads':>7} {'registers':>9} {'shared':>8} {'stack':>6} {'spills':>7} {'blocks':>7} {'occupancy':>10}\n"
    )
    files[pathlib.Path("resources.txt")] = (head + "\n".join(sorted(table)) + "\n").encode()
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with what is committed instead of writing")
    parser.add_argument("--cubin", type=pathlib.Path, metavar="DIR", help="also write the machine code")
    arguments = parser.parse_args()
    files = build(arguments.cubin)
    if not arguments.check:
        for where, content in files.items():
            (KERNELS / where).parent.mkdir(parents=True, exist_ok=True)
            (KERNELS / where).write_bytes(content)
        print(f"{len(files)} files written")
        return
    kept = {path.relative_to(KERNELS) for path in KERNELS.glob("ptx/**/*.ptx")} | {pathlib.Path("resources.txt")}
    stale = [str(w) for w, content in files.items() if not (KERNELS / w).exists() or (KERNELS / w).read_bytes() != content]
    stale += [f"{path} (no source)" for path in sorted(map(str, kept - set(files)))]
    if stale:
        sys.exit("not what the sources give: " + ", ".join(sorted(stale)))
    print(f"{len(files)} files are what the sources give")


if __name__ == "__main__":
    main()
