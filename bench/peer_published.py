#!/usr/bin/python3
"""The work of `vitrail features` and `vitrail zero-shot` in plain PyTorch and Pillow, for comparison.

Runs on PyTorch 1.13 (apt install python3-torch python3-pil) and on 2.x (pip install torch pillow numpy):
  /usr/bin/python3 bench/peer_published.py features dinov2/ photos/ -o features.npy
  /usr/bin/python3 bench/peer_published.py zero-shot clip/ photo.jpg --labels "a dog" "a cat"

The model is a Hugging Face folder of a CLIP or a DINOv2. Weights are mapped into memory, not copied. The script imports
only the packages that it needs, because transformers takes longer to start. Prints one JSON object; "seconds" count
from the start of the process, without the "compile_seconds" that --compile needs before the first image.
"""

import argparse
import json
import math
import os
import struct
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F


def read_weights(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    data = np.memmap(path, np.float32, "c", offset=8 + length)
    header.pop("__metadata__", None)
    result = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", name
        begin, end = (offset // 4 for offset in entry["data_offsets"])
        result[name] = torch.from_numpy(data[begin:end]).reshape(entry["shape"])
    return result


class Model:
    def __init__(self, folder):
        self.folder = folder
        self.weights = read_weights(os.path.join(folder, "model.safetensors"))
        with open(os.path.join(folder, "config.json")) as file:
            self.config = json.load(file)
        with open(os.path.join(folder, "preprocessor_config.json")) as file:
            self.preprocessor = json.load(file)

    def __getitem__(self, name):
        return self.weights[name]

    def linear(self, name, x):
        return F.linear(x, self[name + ".weight"], self.weights.get(name + ".bias"))

    def norm(self, name, x, eps):
        return F.layer_norm(x, x.shape[-1:], self[name + ".weight"], self[name + ".bias"], eps)

    def attention(self, names, x, heads, mask=None):
        """names: the projections to queries, keys and values, and the output projection."""
        b, n, dim = x.shape
        q, k, v = (self.linear(name, x).reshape(b, n, heads, -1).transpose(1, 2) for name in names[:3])
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, mask)
        else:
            scores = q @ k.transpose(-2, -1) * (dim // heads) ** -0.5
            y = (scores if mask is None else scores + mask).softmax(-1) @ v
        return self.linear(names[3], y.transpose(1, 2).reshape(b, n, dim))

    def pixels(self, images):
        """Resizes the shorter side, crops the centre and normalises, as preprocessor_config.json says."""
        p, side = self.preprocessor, self.preprocessor["size"]["shortest_edge"]
        crop = p["crop_size"]["height"]
        mean, std = (np.asarray(p[key], np.float32) for key in ("image_mean", "image_std"))
        batch = []
        for image in images:
            image = Image.open(image).convert("RGB")
            w, h = image.size
            size = (side, int(side * h / w)) if w <= h else (int(side * w / h), side)
            image = image.resize(size, Image.Resampling(p["resample"]))
            left, top = (size[0] - crop) // 2, (size[1] - crop) // 2
            values = np.asarray(image.crop((left, top, left + crop, top + crop)), np.float32) / 255
            batch.append(torch.from_numpy((values - mean) / std).permute(2, 0, 1))
        return torch.stack(batch)


class Dinov2(Model):
    def features(self, images):
        c = self.config
        x = F.conv2d(images, self["embeddings.patch_embeddings.projection.weight"],
                     self["embeddings.patch_embeddings.projection.bias"], stride=c["patch_size"])
        positions = self["embeddings.position_embeddings"]
        side = math.isqrt(positions.shape[1] - 1)
        grid = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=x.shape[2:], mode="bicubic", align_corners=False)
        x = torch.cat([self["embeddings.cls_token"].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1)
        x = x + torch.cat([positions[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)
        for i in range(c["num_hidden_layers"]):
            at = f"encoder.layer.{i}."
            names = [at + "attention.attention." + name for name in ("query", "key", "value")]
            y = self.norm(at + "norm1", x, c["layer_norm_eps"])
            y = self.attention([*names, at + "attention.output.dense"], y, c["num_attention_heads"])
            x = x + y * self[at + "layer_scale1.lambda1"]
            y = F.gelu(self.linear(at + "mlp.fc1", self.norm(at + "norm2", x, c["layer_norm_eps"])))
            x = x + self.linear(at + "mlp.fc2", y) * self[at + "layer_scale2.lambda1"]
        return self.norm("layernorm", x, c["layer_norm_eps"])[:, 0]


class Clip(Model):
    def tower(self, name, x, mask=None):
        c = self.config[name + "_config"]
        for i in range(c["num_hidden_layers"]):
            at = f"{name}_model.encoder.layers.{i}."
            names = [f"{at}self_attn.{projection}_proj" for projection in ("q", "k", "v", "out")]
            x = x + self.attention(names, self.norm(at + "layer_norm1", x, 1e-5), c["num_attention_heads"], mask)
            y = self.linear(at + "mlp.fc1", self.norm(at + "layer_norm2", x, 1e-5))
            y = y * torch.sigmoid(1.702 * y) if c["hidden_act"] == "quick_gelu" else F.gelu(y)
            x = x + self.linear(at + "mlp.fc2", y)
        return x

    def features(self, images):
        at = "vision_model.embeddings."
        x = F.conv2d(images, self[at + "patch_embedding.weight"], stride=self.config["vision_config"]["patch_size"])
        x = torch.cat([self[at + "class_embedding"].expand(len(x), 1, -1), x.flatten(2).transpose(1, 2)], 1)
        x = self.norm("vision_model.pre_layrnorm", x + self[at + "position_embedding.weight"], 1e-5)
        x = self.norm("vision_model.post_layernorm", self.tower("vision", x)[:, 0], 1e-5)
        return self.linear("visual_projection", x)

    def text_features(self, texts):
        words = Words(self.folder)
        rows = [words.ids(text) for text in texts]
        ids = torch.tensor([row + [0] * (77 - len(row)) for row in rows])
        x = self["text_model.embeddings.token_embedding.weight"][ids]
        x = x + self["text_model.embeddings.position_embedding.weight"]
        x = self.tower("text", x, torch.full((77, 77), -math.inf).triu(1))
        x = self.norm("text_model.final_layer_norm", x, 1e-5)
        x = x[torch.arange(len(x)), torch.tensor([len(row) - 1 for row in rows])]
        return self.linear("text_projection", x)


class Words:
    """Byte-pair encoding of plain lower-case English. This is enough for timing."""

    def __init__(self, folder):
        with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as file:
            self.vocabulary = json.load(file)
        with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as file:
            pairs = [tuple(line.split()) for line in file if not line.startswith("#version")]
        self.ranks = {pair: rank for rank, pair in enumerate(pairs)}

    def ids(self, text):
        result = [self.vocabulary["<|startoftext|>"]]
        for word in text.lower().split():
            symbols = [*word[:-1], word[-1] + "</w>"]
            while len(symbols) > 1:
                rank, at = min((self.ranks.get(pair, math.inf), i) for i, pair in enumerate(zip(symbols, symbols[1:])))
                if rank == math.inf:
                    break
                pair = (symbols[at], symbols[at + 1])
                joined, i = [], 0
                while i < len(symbols):
                    both = tuple(symbols[i : i + 2]) == pair
                    joined.append("".join(pair) if both else symbols[i])
                    i += 2 if both else 1
                symbols = joined
            result += [self.vocabulary[symbol] for symbol in symbols]
        return result + [self.vocabulary["<|endoftext|>"]]


def seconds_since_start():
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("command", choices=["features", "zero-shot"])
    p.add_argument("model")
    p.add_argument("images", nargs="+")
    p.add_argument("--labels", nargs="+", default=[])
    p.add_argument("-o", "--out")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--compile", action="store_true", help="torch.compile the image tower")
    args = p.parse_intermixed_args()
    files = []
    for path in args.images:
        files += sorted(os.path.join(path, f) for f in os.listdir(path)) if os.path.isdir(path) else [path]

    torch.set_num_threads(os.cpu_count())
    with torch.no_grad():
        model = Clip(args.model) if args.command == "zero-shot" else None
        if model is None:
            with open(os.path.join(args.model, "config.json")) as file:
                model = (Clip if json.load(file)["model_type"] == "clip" else Dinov2)(args.model)
        batches = [files[i : i + args.batch] for i in range(0, len(files), args.batch)]
        result = {"pictures": len(files), "torch": torch.__version__, "compile_seconds": 0}
        if args.compile:
            start, crop = time.perf_counter(), model.preprocessor["crop_size"]["height"]
            model.features = torch.compile(model.features, dynamic=False)
            for size in {len(batch) for batch in batches}:
                model.features(torch.zeros(size, 3, crop, crop))
            result["compile_seconds"] = time.perf_counter() - start
        features = torch.cat([model.features(model.pixels(batch)) for batch in batches])
        if args.labels:
            texts = F.normalize(model.text_features(args.labels), dim=-1)
            logits = model["logit_scale"].exp() * F.normalize(features, dim=-1) @ texts.T
            result["probabilities"] = logits.softmax(-1).tolist()
    if args.out:
        np.save(args.out, features.numpy())
    result["seconds"] = seconds_since_start() - result["compile_seconds"]
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
