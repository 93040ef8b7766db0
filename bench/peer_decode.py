#!/usr/bin/env python3
"""The decoder of bench_decode in PyTorch (transformers, bf16) and in llama.cpp (Q8_0), for comparison.

  python bench/peer_decode.py --engine torch        # pip install torch transformers
  python bench/peer_decode.py --engine llama        # pip install xllamacpp gguf

Prints one JSON object with the keys of bench_decode. The weights are random, a million numbers over and over, as there.
PyTorch's tokens are timed one by one, and the fastest counts; llama.cpp tells the rate of 16 tokens, and the fastest
rate of many counts. llama.cpp's file is written to --file, 1.2 GB, unless it is there.
"""

import argparse
import json
import os
import statistics
import sys
import time

SHAPE = {"vocab": 32000, "dim": 2048, "hidden": 5632, "heads": 32, "kv_heads": 4}


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--engine", required=True, choices=["torch", "llama"])
    p.add_argument("--prompt", type=int, default=512)
    p.add_argument("--tokens", type=int, default=128)
    p.add_argument("--depth", type=int, default=22)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--file", default="decoder_q8_0.gguf", help="llama: the model's file")
    return p.parse_args()


def with_torch(args):
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=SHAPE["vocab"], hidden_size=SHAPE["dim"], intermediate_size=SHAPE["hidden"],
        num_hidden_layers=args.depth, num_attention_heads=SHAPE["heads"], num_key_value_heads=SHAPE["kv_heads"],
        max_position_embeddings=2048, torch_dtype=torch.bfloat16)
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    model = model.to_empty(device="cpu").eval()
    model.model.rotary_emb = type(model.model.rotary_emb)(config)  # its frequencies are computed, not loaded
    numbers = (torch.randn(1 << 20) * 0.02).to(torch.bfloat16)
    for p in model.parameters():
        p.requires_grad_(False)
        flat = p.data.view(-1)
        if p.dim() == 1:
            flat.fill_(1)
        for i in range(0, flat.numel() if p.dim() > 1 else 0, numbers.numel()):
            part = flat[i:i + numbers.numel()]
            part.copy_(numbers[:part.numel()])
    prompt = torch.randint(SHAPE["vocab"], (1, args.prompt))
    prefill, token = [], []
    with torch.inference_mode():
        model(prompt[:, :16], use_cache=True)
        for _ in range(args.rounds):
            start = time.perf_counter()
            out = model(prompt, use_cache=True, logits_to_keep=1)
            following = out.logits[:, -1].argmax(-1, keepdim=True)
            prefill.append(time.perf_counter() - start)
            for _ in range(args.tokens):
                start = time.perf_counter()
                out = model(following, past_key_values=out.past_key_values, use_cache=True)
                following = out.logits[:, -1].argmax(-1, keepdim=True)
                token.append(time.perf_counter() - start)
    read = [p.numel() for name, p in model.named_parameters() if p.dim() > 1 and "embed" not in name]
    return {"engine": f"PyTorch {torch.__version__}, transformers {transformers.__version__}", "dtype": "bf16",
            "prefill_tokens_per_s": args.prompt / min(prefill), "decode_tokens_per_s": 1 / min(token),
            "decode_tokens_per_s_median": 1 / statistics.median(token), "weights_gb": 2e-9 * sum(read)}


def write_gguf(args):
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(args.file, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(SHAPE["dim"])
    writer.add_block_count(args.depth)
    writer.add_feed_forward_length(SHAPE["hidden"])
    writer.add_rope_dimension_count(SHAPE["dim"] // SHAPE["heads"])
    writer.add_head_count(SHAPE["heads"])
    writer.add_head_count_kv(SHAPE["kv_heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(SHAPE["vocab"])
    special = [b"<unk>", b"<s>", b"</s>"]
    byte_pieces = [f"<0x{i:02X}>".encode() for i in range(256)]
    others = [f"w{i}".encode() for i in range(SHAPE["vocab"] - 259)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(special + byte_pieces + others)
    writer.add_token_scores([0.0] * SHAPE["vocab"])
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * len(others))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    q8 = gguf.GGMLQuantizationType.Q8_0
    numbers = np.random.default_rng(0).normal(0, 0.02, 1 << 20).astype(np.float32).reshape(-1, 32)
    blocks = gguf.quants.quantize(numbers, q8).reshape(-1, 34)

    def matrix(name, out, inputs):
        count = out * inputs // 32
        data = np.tile(blocks, (-(-count // len(blocks)), 1))[:count]
        writer.add_tensor(name, data.reshape(out, inputs // 32 * 34), raw_dtype=q8)

    def gain(name):
        writer.add_tensor(name, np.ones(SHAPE["dim"], np.float32))

    keys = SHAPE["dim"] // SHAPE["heads"] * SHAPE["kv_heads"]
    matrix("token_embd.weight", SHAPE["vocab"], SHAPE["dim"])
    matrix("output.weight", SHAPE["vocab"], SHAPE["dim"])
    gain("output_norm.weight")
    for i in range(args.depth):
        gain(f"blk.{i}.attn_norm.weight")
        gain(f"blk.{i}.ffn_norm.weight")
        matrix(f"blk.{i}.attn_q.weight", SHAPE["dim"], SHAPE["dim"])
        matrix(f"blk.{i}.attn_k.weight", keys, SHAPE["dim"])
        matrix(f"blk.{i}.attn_v.weight", keys, SHAPE["dim"])
        matrix(f"blk.{i}.attn_output.weight", SHAPE["dim"], SHAPE["dim"])
        matrix(f"blk.{i}.ffn_gate.weight", SHAPE["hidden"], SHAPE["dim"])
        matrix(f"blk.{i}.ffn_up.weight", SHAPE["hidden"], SHAPE["dim"])
        matrix(f"blk.{i}.ffn_down.weight", SHAPE["dim"], SHAPE["hidden"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def with_llama(args):
    import random

    import xllamacpp

    if not os.path.exists(args.file):
        write_gguf(args)
    params = xllamacpp.CommonParams()
    params.model.path = args.file
    params.n_ctx = 2048
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = args.threads
    params.cpuparams_batch.n_threads = args.threads
    params.warmup = True
    server = xllamacpp.Server(params)
    draw = random.Random(0)

    def ask(prompt, tokens):
        answer = server.handle_completions({"prompt": prompt, "n_predict": tokens, "max_tokens": tokens,
                                            "temperature": 0, "ignore_eos": True, "cache_prompt": True})
        answer = json.loads(answer) if isinstance(answer, (str, bytes)) else answer
        return answer["timings"]

    prefill, decode = [], []
    for _ in range(args.rounds):
        prompt = [draw.randrange(300, SHAPE["vocab"]) for _ in range(args.prompt)]
        prefill.append(ask(prompt, 1)["prompt_per_second"])
        for _ in range(args.tokens // 16):
            decode.append(ask(prompt, 16)["predicted_per_second"])
    print(xllamacpp.get_system_info(), file=sys.stderr)
    weights = args.depth * (2 * 2048 * 2048 + 2 * 256 * 2048 + 3 * 2048 * 5632) + 32000 * 2048
    return {"engine": f"llama.cpp of xllamacpp {xllamacpp.__version__}", "dtype": "q8_0",
            "system": xllamacpp.get_system_info(), "prefill_tokens_per_s": max(prefill),
            "decode_tokens_per_s": max(decode), "decode_tokens_per_s_median": statistics.median(decode),
            "weights_gb": 34 / 32 * 1e-9 * weights}


def main():
    args = parse()
    result = with_torch(args) if args.engine == "torch" else with_llama(args)
    result.update(threads=args.threads, prompt=args.prompt, tokens=args.tokens, depth=args.depth)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
