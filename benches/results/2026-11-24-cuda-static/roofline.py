#!/usr/bin/env python3
"""Roofline estimates for one training step of the five networks of `chainrule bench`: arithmetic from shapes and data sheets, nothing measured.

Of each launch: flops at the device's peak or bytes at its bandwidth, whichever takes longer ("roof"). Products run in whole waves of blocks, one tile on each
multiprocessor at a time, so their time is at least waves * 2 BM BN k / (peak of one multiprocessor): "in waves" takes the longer of that and the roof.
Neither counts the latency of memory, of barriers or of a launch. Bytes are those that must move if every operand is read once from memory.
"""
import math

# name: (f32 flop/s, bytes/s, multiprocessors); sources in README.md
DEVICES = {"H100 SXM": (66.9e12, 3.35e12, 132), "RTX 4060 Laptop": (11.61e12, 256e9, 24)}
TILES = {"large": (128, 128, 1.0), "medium": (64, 64, 0.9), "small": (32, 32, 0.7)}
NETWORKS = {
    "baseline": ([784, 500, 10], 100, True),
    "final": ([784] + [569 - i * (569 // 7) for i in range(7)] + [10], 122, True),
    "big": ([784, 1000, 1000, 1000, 10], 128, False),
    "small16": ([784, 500, 10], 16, True),
    "w50": ([784, 50, 10], 100, True),
}


def tile(m, n, multiprocessors):
    """The host's choice on that date: least waves * outputs / efficiency, the larger tile on ties."""
    cost = lambda t: math.ceil(math.ceil(m / t[0]) * math.ceil(n / t[1]) / multiprocessors) * t[0] * t[1] / t[2]
    return min(TILES, key=lambda name: cost(TILES[name]))


def step(sizes, rows, batch_norm):
    """(kernel, m, n, k) of products and (kernel, flops, bytes) of the rest, forward and backward."""
    products, rest = [], [("input_u8", 2 * rows * sizes[0], 5 * rows * sizes[0])]
    layers = list(zip(sizes, sizes[1:]))
    parameters = 0
    for layer, (inputs, outputs) in enumerate(layers):
        last, elements = layer == len(layers) - 1, rows * outputs
        parameters += (inputs + 1 + (2 if batch_norm and not last else 0)) * outputs
        epilogue = "bias" if last else "statistics" if batch_norm else "block"
        products += [("sgemm_nt_" + epilogue, rows, outputs, inputs), ("sgemm_tn", outputs, inputs, rows)]
        if layer > 0:
            products.append(("sgemm_nn", rows, inputs, outputs))
        if not last and batch_norm:
            rest += [("batch_norm_forward", 4 * elements, 16 * elements), ("batch_norm_backward_sums", 4 * elements, 16 * elements), ("batch_norm_backward", 5 * elements, 12 * elements)]
        elif not last:
            rest.append(("activation_backward", 2 * elements, 12 * elements))
    logits = rows * sizes[-1]
    rest += [("softmax_cross_entropy, loss_total", 60 * logits, 8 * logits + 48 * rows), ("adam", 13 * parameters, 28 * parameters)]
    return products, rest


def operand_bytes(kernel, m, n, k):
    return 4 * (m * k + n * k + m * n * (3 if kernel.endswith("block") else 1))


def product_row(kernel, shapes, totals):
    flops = sum(2 * m * n * k for m, n, k in shapes)
    traffic = sum(operand_bytes(kernel, *shape) for shape in shapes)
    cells = []
    for device, (peak, bandwidth, count) in DEVICES.items():
        roof = waves = 0.0
        chosen = []
        for m, n, k in shapes:
            name = tile(m, n, count)
            bm, bn, _ = TILES[name]
            blocks = math.ceil(m / bm) * math.ceil(n / bn)
            least = max(2 * m * n * k / peak, operand_bytes(kernel, m, n, k) / bandwidth)
            roof += least
            waves += max(least, math.ceil(blocks / count) * 2 * bm * bn * k * count / peak)
            chosen.append(f"{blocks} {name}")
        totals[device][0] += roof
        totals[device][1] += waves
        text = ", ".join(chosen) if len(chosen) <= 4 else "7 to 8 products, " + " or ".join(sorted({c.split()[1] for c in chosen}))
        cells.append(f"{roof * 1e6:.1f}, {waves * 1e6:.1f}; {text}")
    print(f"| {kernel} | {len(shapes)} | {flops / 1e6:.1f} | {traffic / 1e6:.2f} | " + " | ".join(cells) + " |")


def other_row(kernel, each, totals):
    flops, traffic = sum(r[1] for r in each), sum(r[2] for r in each)
    cells = []
    for device, (peak, bandwidth, _) in DEVICES.items():
        least = sum(max(r[1] / peak, r[2] / bandwidth) for r in each)
        totals[device][0] += least
        totals[device][1] += least
        cells.append(f"{least * 1e6:.1f}")
    # The loss is two launches.
    print(f"| {kernel} | {len(each) * len(kernel.split(','))} | {flops / 1e6:.2f} | {traffic / 1e6:.2f} | " + " | ".join(cells) + " |")


def main():
    for name, (sizes, rows, batch_norm) in NETWORKS.items():
        products, rest = step(sizes, rows, batch_norm)
        print(f"\n{name}: {'-'.join(map(str, sizes))}, batch {rows}, {len(products) + len(rest) + 1} launches a step\n")
        print("| kernel | launches | Mflop | MB | " + " | ".join(f"{d}: roof, in waves (µs); blocks" for d in DEVICES) + " |")
        print("|---|---|---|---|" + "---|" * len(DEVICES))
        totals = {device: [0.0, 0.0] for device in DEVICES}
        for kernel in sorted({p[0] for p in products}):
            product_row(kernel, [p[1:] for p in products if p[0] == kernel], totals)
        for kernel in dict.fromkeys(r[0] for r in rest):
            other_row(kernel, [r for r in rest if r[0] == kernel], totals)
        print("| **sum** | | | | " + " | ".join(f"**{a * 1e6:.1f}, {b * 1e6:.1f}**" for a, b in totals.values()) + " |")
    print("\nSquare products: blocks, waves, and the share of the places in those waves that are used.\n")
    for size in (1024, 4096):
        for device, (_, _, count) in DEVICES.items():
            name = tile(size, size, count)
            bm, bn, _ = TILES[name]
            blocks = math.ceil(size / bm) * math.ceil(size / bn)
            waves = math.ceil(blocks / count)
            print(f"* {size}³, {device}: {blocks} {name}, {waves} waves, {blocks / count / waves:.0%}")


if __name__ == "__main__":
    main()
