#!/usr/bin/python3
"""The step of bench_step in plain PyTorch, for comparison. Prints one JSON object with the same keys.

apt install python3-torch libopenblas0; then /usr/bin/python3 bench/peer_torch.py --model vit_small --batch 16 --dtype f32
or --method dino --batch 4, or --method clip --batch 16. The models and steps are in peer_methods.py.

PyTorch's speed on a CPU depends on two environment variables that it reads at start. So the script runs itself once
with each combination in SETTINGS. It prints the fastest result, with its combination under "settings".
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

SETTINGS = [
    {},
    {"OPENBLAS_CORETYPE": "SKYLAKEX"},
    {"OPENBLAS_CORETYPE": "HASWELL"},
    {"ATEN_CPU_CAPABILITY": "avx512"},
    {"OPENBLAS_CORETYPE": "SKYLAKEX", "ATEN_CPU_CAPABILITY": "avx512"},
]


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--method", default="supervised", choices=["supervised", "dino", "clip"])
    p.add_argument("--model", help="default: vit_small, or ViT-B-32 for clip")
    p.add_argument("--embed-dim", type=int, default=0)
    p.add_argument("--depth", type=int, default=0)
    p.add_argument("--num-heads", type=int, default=0)
    p.add_argument("--img-size", type=int, default=224)
    p.add_argument("--patch-size", type=int, default=16)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--tokens", type=int, default=77, help="clip: length of a caption in a context of 77")
    p.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--forward-only", action="store_true")
    p.add_argument("--json", action="store_true", help="accepted for symmetry: the output is always JSON")
    p.add_argument("--export", metavar="FILE", help="only write the model as ONNX, for bench/peer_onnxruntime.js")
    p.add_argument("--one", action="store_true", help="run once, with the environment as it is")
    args = p.parse_args()
    args.model = args.model or ("ViT-B-32" if args.method == "clip" else "vit_small")
    return args


def measure(args):
    import peer_methods
    import torch

    torch.set_num_threads(args.threads or os.cpu_count())
    torch.manual_seed(0)
    if args.export:
        example = torch.randn(args.batch, 3, args.img_size, args.img_size)
        torch.onnx.export(peer_methods.Vit(args, classes=1000).eval(), example, args.export, opset_version=16)
        return {"exported": args.export}
    step, macs = peer_methods.METHODS[args.method](args)
    for _ in range(2):
        step()
    times = []
    for _ in range(max(args.steps, 3)):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    gflops = 2 * macs / seconds / 1e9
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
        "method": args.method, "model": args.model, "img_size": args.img_size, "patch_size": args.patch_size,
        "batch": args.batch, "tokens": args.tokens, "dtype": args.dtype, "threads": torch.get_num_threads(),
        "forward_only": args.forward_only,
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
