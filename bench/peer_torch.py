#!/usr/bin/python3
"""The step of bench_step in plain PyTorch, for comparison: prints the same keys as one JSON object.

apt install python3-torch libopenblas0; then /usr/bin/python3 bench/peer_torch.py --model vit_small --batch 16 --dtype f32

PyTorch's speed on a CPU depends on two settings that it reads when it starts, so the script runs itself once with each
and prints the best, with the setting under "settings".
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

VARIANTS = {
    "vit_tiny": (192, 12, 3),
    "vit_small": (384, 12, 6),
    "vit_base": (768, 12, 12),
    "vit_large": (1024, 24, 16),
    "vit_huge": (1280, 32, 16),
}
SETTINGS = [
    {},
    {"OPENBLAS_CORETYPE": "SKYLAKEX"},
    {"OPENBLAS_CORETYPE": "HASWELL"},
    {"ATEN_CPU_CAPABILITY": "avx512"},
    {"OPENBLAS_CORETYPE": "SKYLAKEX", "ATEN_CPU_CAPABILITY": "avx512"},
]


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--model", default="vit_small", choices=VARIANTS)
    p.add_argument("--embed-dim", type=int, default=0)
    p.add_argument("--depth", type=int, default=0)
    p.add_argument("--num-heads", type=int, default=0)
    p.add_argument("--img-size", type=int, default=224)
    p.add_argument("--patch-size", type=int, default=16)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--forward-only", action="store_true")
    p.add_argument("--json", action="store_true", help="accepted for symmetry: the output is always JSON")
    p.add_argument("--export", metavar="FILE", help="write the model as ONNX for bench/peer_onnxruntime.js, and stop")
    p.add_argument("--one", action="store_true", help="only the settings of the environment")
    return p.parse_args()


def build(dim, depth, heads, args):
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
            self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

        def forward(self, x):
            b, n, _ = x.shape
            q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
            weights = (q @ k.transpose(-2, -1) * (dim // heads) ** -0.5).softmax(-1)
            x = x + self.proj((weights @ v).transpose(1, 2).reshape(b, n, dim))
            return x + self.fc2(nn.functional.gelu(self.fc1(self.norm2(x))))

    class Vit(nn.Module):
        def __init__(self):
            super().__init__()
            tokens = (args.img_size // args.patch_size) ** 2 + 1
            self.patch = nn.Conv2d(3, dim, args.patch_size, args.patch_size)
            self.cls = nn.Parameter(torch.zeros(1, 1, dim))
            self.pos = nn.Parameter(torch.randn(1, tokens, dim) * 0.02)
            self.blocks = nn.Sequential(*[Block() for _ in range(depth)])
            self.norm, self.head = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, 1000)

        def forward(self, images):
            x = self.patch(images).flatten(2).transpose(1, 2)
            x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
            return self.head(self.norm(self.blocks(x))[:, 0])

    return Vit()


def measure(args):
    import torch

    torch.set_num_threads(args.threads or os.cpu_count())
    torch.manual_seed(0)
    dim, depth, heads = VARIANTS[args.model]
    dim, depth, heads = args.embed_dim or dim, args.depth or depth, args.num_heads or heads
    model = build(dim, depth, heads, args)
    if args.export:
        example = torch.randn(args.batch, 3, args.img_size, args.img_size)
        torch.onnx.export(model.eval(), example, args.export, opset_version=16)
        return {"exported": args.export}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05)
    images = torch.randn(args.batch, 3, args.img_size, args.img_size)
    labels = torch.randint(0, 1000, (args.batch,))
    half = torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bf16")

    def step():
        if args.forward_only:
            with torch.no_grad(), half:
                model(images)
            return
        with half:
            loss = torch.nn.functional.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(2):
        step()
    times = []
    for _ in range(max(args.steps, 5)):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    patches = (args.img_size // args.patch_size) ** 2
    tokens = patches + 1
    macs = patches * 3 * args.patch_size**2 * dim + depth * (12 * tokens * dim**2 + 2 * tokens**2 * dim) + dim * 1000
    gflops = 2 * macs * args.batch * (1 if args.forward_only else 3) / seconds / 1e9
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    n = 2048
    a, b = (torch.randn(n, n, dtype=torch.bfloat16 if args.dtype == "bf16" else torch.float32) for _ in range(2))
    best = float("inf")
    for _ in range(12):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    peak = 2 * n**3 / best / 1e9
    return {
        "model": args.model, "img_size": args.img_size, "patch_size": args.patch_size, "batch": args.batch,
        "dtype": args.dtype, "threads": torch.get_num_threads(), "forward_only": args.forward_only,
        "ms": 1e3 * seconds, "images_per_s": args.batch / seconds, "gflops": gflops, "peak_gflops": peak,
        "share_of_peak": gflops / peak, "peak_rss_mb": rss, "torch": torch.__version__,
    }


def main():
    args = parse()
    if args.one or args.export:
        print(json.dumps(measure(args)))
        return
    results = []
    for settings in SETTINGS:
        command = [sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--one"]
        run = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
        if run.returncode == 0:
            results.append({**json.loads(run.stdout), "settings": settings})
        else:
            sys.stderr.write(run.stderr)
    if not results:
        sys.exit("no setting ran; is python3-torch installed?")
    print(json.dumps(min(results, key=lambda r: r["ms"])))


if __name__ == "__main__":
    main()
