#!/usr/bin/python3
"""The step of bench_step in plain PyTorch, for comparison. Prints one JSON object with the same keys.

Runs on the PyTorch of the interpreter: 1.13 of Debian (apt install python3-torch libopenblas0) or 2.x (pip install
torch). For example
  /usr/bin/python3 bench/peer_torch.py --model vit_small --batch 16 --dtype f32
or --method dino --batch 4, --method dinov2 --patch-size 14 --batch 4, or --method clip --batch 16. The models and steps
are in peer_methods.py.

The speed depends on settings that PyTorch reads at start, and on how the step is written. So the script runs itself
once with each alternative in AXES, and keeps an alternative if it is faster. It prints the fastest result, with its
"settings". "memory_mb" is the least memory of all of them. Neither time nor memory of compiling counts.
--settings and --axes shorten the search: the settings to begin with, as "settings" has them, and the axes to try.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

# An allocator that keeps its memory and asks for huge pages, as people get from jemalloc or tcmalloc.
KEEP_MEMORY = {"GLIBC_TUNABLES": ":".join(f"glibc.malloc.{entry}" for entry in
                                          ("mmap_max=0", "trim_threshold=1099511627776", "hugetlb=1"))}

# Names in capitals are environment variables, the others are arguments of the methods.
AXES = {
    1: {
        "memory": [KEEP_MEMORY],
        "blas": [{"OPENBLAS_CORETYPE": "SKYLAKEX"}, {"OPENBLAS_CORETYPE": "HASWELL"}],
        "vectors": [{"ATEN_CPU_CAPABILITY": "avx512"}],
    },
    2: {
        "memory": [KEEP_MEMORY],
        "attention": [{"attention": "sdpa"}],
        "weights": [{"weights": "bf16"}],
        "compile": [{"compile": True}],
        "freeze": [{"compile": True, "TORCHINDUCTOR_FREEZING": "1"}],
    },
}
FORWARD_ONLY = {"weights", "freeze"}
SLOWER = 1.15  # a combination this much slower than the best one is not timed to the end
SECONDS = 600  # for one combination
REAL_BLAS = 8  # GFLOP/s in f32: the reference BLAS reaches 1 to 4, any other far more than this


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--method", default="supervised", choices=["supervised", "dino", "dinov2", "clip"])
    p.add_argument("--model", help="default: vit_small, or ViT-B-32 for clip")
    p.add_argument("--embed-dim", type=int, default=0)
    p.add_argument("--depth", type=int, default=0)
    p.add_argument("--num-heads", type=int, default=0)
    p.add_argument("--img-size", type=int, default=224)
    p.add_argument("--patch-size", type=int, help="default: 16, or 14 for dinov2")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--tokens", type=int, default=77, help="clip: length of a caption in a context of 77")
    p.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--forward-only", action="store_true")
    p.add_argument("--json", action="store_true", help="accepted for symmetry: the output is always JSON")
    p.add_argument("--export", metavar="FILE", help="only write the model as ONNX, for bench/peer_onnxruntime.py")
    p.add_argument("--settings", type=json.loads, default={}, metavar="JSON", help="the combination to begin with")
    p.add_argument("--axes", type=lambda text: text.split(","), help="names in AXES, or none; all of them if not given")
    p.add_argument("--one", type=float, metavar="MS", help="time one combination; MS: the best time so far, or 0")
    args = p.parse_args()
    args.model = args.model or ("ViT-B-32" if args.method == "clip" else "vit_small")
    args.patch_size = args.patch_size or (14 if args.method == "dinov2" else 16)
    args.attention = args.settings.get("attention", "plain")
    args.compile = args.settings.get("compile", False)
    args.weights = args.settings.get("weights", "f32")
    return args


def gflops_of_product(torch, n, dtype, repeats):
    a, b = (torch.randn(n, n, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best / 1e9


def blas(torch):
    """The library behind f32 products. Ends the script if it is the reference BLAS, which looks like a hang."""
    inside = re.search(r"BLAS_INFO=(mkl|open)", torch.__config__.show())
    with open("/proc/self/maps") as file:
        loaded = re.search(r"(openblas|mkl(?!dnn)|blis|atlas)[^/\n]*\.so", file.read())
    speed = gflops_of_product(torch, 512, torch.float32, 4)
    if not inside and not loaded and speed < REAL_BLAS:
        sys.exit(f"PyTorch {torch.__version__} multiplies f32 matrices at {speed:.1f} GFLOP/s: behind it is the "
                 "reference BLAS, some forty times slower than others. On Debian: apt install libopenblas0")
    return (inside or loaded)[1] if inside or loaded else "unknown"


def forget_peak_rss():
    """The compiler's memory must not count."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_rss_mb():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\s*(\d+) kB", file.read())[1]) / 1024


def export(args):
    import peer_methods
    import torch

    model = peer_methods.Vit(args, classes=1000).eval()
    example = torch.randn(args.batch, 3, args.img_size, args.img_size)
    # The exporter of 2.x by default needs more packages.
    older = {"dynamo": False} if peer_methods.VERSION >= (2, 5) else {}
    torch.onnx.export(model, example, args.export, opset_version=16, **older)
    return {"exported": args.export}


def measure(args):
    import peer_methods
    import torch

    torch.set_num_threads(args.threads or int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count()))
    torch.manual_seed(0)
    library = blas(torch)
    step, macs = peer_methods.METHODS[args.method](args)
    start = time.perf_counter()
    for _ in range(2):
        step()
    warm_up, times = time.perf_counter() - start, []
    forget_peak_rss()
    while len(times) < max(args.steps, 3):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
        if args.one and 1e3 * times[0] > SLOWER * args.one:
            break
    seconds = statistics.median(times)
    gflops = 2 * macs / seconds / 1e9
    rss = peak_rss_mb()
    peak = gflops_of_product(torch, 2048, torch.bfloat16 if args.dtype == "bf16" else torch.float32, 12)
    return {
        "method": args.method, "model": args.model, "img_size": args.img_size, "patch_size": args.patch_size,
        "batch": args.batch, "tokens": args.tokens, "dtype": args.dtype, "threads": torch.get_num_threads(),
        "forward_only": args.forward_only,
        "ms": 1e3 * seconds, "images_per_s": args.batch / seconds, "gflops": gflops, "peak_gflops": peak,
        "share_of_peak": gflops / peak, "peak_rss_mb": rss, "timed_steps": len(times), "warm_up_s": warm_up,
        "torch": torch.__version__, "blas": library, "mode": "compile" if args.compile else "eager",
        "settings": args.settings,
    }


def run(settings, best_ms):
    """One combination in a process of its own. Returns None, and says why, if it fails."""
    command = [sys.executable, os.path.abspath(__file__), *sys.argv[1:]]
    command += ["--settings", json.dumps(settings), "--one", str(best_ms)]
    environment = {**os.environ, **{k: v for k, v in settings.items() if k.isupper()}}
    try:
        child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        print(f"peer_torch.py: {settings} took more than {SECONDS} s", file=sys.stderr)
        return None
    if child.returncode == 0:
        return json.loads(child.stdout.splitlines()[-1])
    print(f"peer_torch.py: {settings} failed:\n{child.stderr[-4000:]}", file=sys.stderr)
    return None


def axes_of(args, version):
    for name, alternatives in AXES[min(int(version.split(".")[0]), 2)].items():
        wanted = name in args.axes if args.axes else True
        applies = (name not in FORWARD_ONLY or args.forward_only) and (name != "weights" or args.dtype == "bf16")
        if wanted and applies and not (name == "attention" and args.method == "clip"):  # its module chooses
            yield from alternatives


def main():
    args = parse()
    if args.export:
        print(json.dumps(export(args)))
        return
    if args.one is not None:
        print(json.dumps(measure(args)))
        return
    best = run(args.settings, 0)
    if not best:
        sys.exit(1)
    memory = best["peak_rss_mb"]
    for alternative in axes_of(args, best["torch"]):
        settings = {**best["settings"], **alternative}
        result = run(settings, best["ms"]) if settings != best["settings"] else None
        if not result:
            continue
        print(f"peer_torch.py: {settings}: {result['ms']:.0f} ms, before {best['ms']:.0f}", file=sys.stderr)
        memory = min(memory, result["peak_rss_mb"])
        if result["ms"] < best["ms"]:
            best = result
    print(json.dumps({**best, "memory_mb": memory}))


if __name__ == "__main__":
    main()
