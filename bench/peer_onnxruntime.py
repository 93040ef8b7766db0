#!/usr/bin/env python3
"""The forward pass of bench_step --forward-only in ONNX Runtime, for comparison. Prints one JSON object.

  python3 -m venv /tmp/ort && /tmp/ort/bin/pip install onnxruntime numpy
  /usr/bin/python3 bench/peer_torch.py --model vit_small --batch 16 --export vit_small.onnx
  /tmp/ort/bin/python bench/peer_onnxruntime.py vit_small.onnx --batch 16 --threads 2

PyTorch 2.x exports too, after pip install onnx.
"""

import argparse
import json
import os
import statistics
import time

import numpy as np
import onnxruntime


def main():
    p = argparse.ArgumentParser()
    p.add_argument("file")
    p.add_argument("--batch", type=int, default=16, help="as the file was exported")
    p.add_argument("--img-size", type=int, default=224)
    p.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count()))
    p.add_argument("--steps", type=int, default=12)
    args = p.parse_args()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(args.file, options, providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).standard_normal((args.batch, 3, args.img_size, args.img_size), np.float32)
    feeds = {session.get_inputs()[0].name: pixels}
    times = []
    for _ in range(2 + max(args.steps, 3)):
        start = time.perf_counter()
        session.run(None, feeds)
        times.append(time.perf_counter() - start)
    ms = 1e3 * statistics.median(times[2:])
    print(json.dumps({"file": args.file, "batch": args.batch, "threads": options.intra_op_num_threads, "ms": ms,
                      "images_per_s": 1e3 * args.batch / ms, "version": onnxruntime.__version__}))


if __name__ == "__main__":
    main()
