"""Teachers of our own DINO and DINOv2 runs: other programs load strictly what `vitrail convert` writes."""

import subprocess
from dataclasses import replace
from pathlib import Path

import torch

from harness import Case, Missing, NotStrict, Theirs
from vits import (Vit, dinov2_loader, hf_loader, hf_numbers, hf_pixels, load_hf, load_strictly, numbers, read_weights,
                  timm_loader, timm_vit)

RECIPES = Path(__file__).parents[2] / "recipes"
# Two epochs at a high rate, and a teacher that follows at once: far from the weights of the start.
SHORT = {"train.epochs": 2, "schedule.warmup_epochs": 0, "teacher.momentum": 0.3, "optim.lr": 0.01,
         "crops.local_number": 2, "crops.local_size": 16, "head.out_dim": 64, "head.hidden_dim": 32, "head.bottleneck_dim": 16,
         "eval.every": 2, "eval.linear_epochs": 0, "eval.baselines": "false"}


def repository_loader(v: Vit):
    """The class of facebookresearch/dinov2, if PYTHONPATH has a copy of it."""

    def load(path: Path, pixels) -> Theirs:
        try:
            from dinov2.models.vision_transformer import DinoVisionTransformer
        except ImportError as error:
            raise Missing("dinov2") from error
        model = DinoVisionTransformer(img_size=v.image, patch_size=v.patch, embed_dim=v.dim, depth=v.depth,
                                      num_heads=v.heads, mlp_ratio=v.hidden / v.dim * (1.5 if v.swiglu else 1),
                                      init_values=1.0 if v.layer_scale else None,
                                      ffn_layer="swiglu" if v.swiglu else "mlp", num_register_tokens=v.registers,
                                      block_chunks=0)
        model = load_strictly(model, read_weights(path))
        with torch.no_grad():
            return Theirs(numbers(model(torch.as_tensor(pixels))), pixels=pixels)

    return load


def run_case(name: str, settings: str, v: Vit, recipe: str, changes: dict, context) -> Case:
    """Trains a run. Its numbers are those of Hugging Face's class, loaded from the converted folder."""

    def save(folder: Path) -> Theirs:
        keys = {"model.patch_size": v.patch, "model.embed_dim": v.dim, "model.depth": v.depth,
                "model.num_heads": v.heads, "model.mlp_ratio": v.hidden / v.dim * (1.5 if v.swiglu else 1),
                "data.img_size": v.image, **SHORT, **changes}
        train = context.vitrail.program.parent / "train"
        done = subprocess.run([str(train), str(RECIPES / recipe), "out=run",
                               *(f"{key}={value}" for key, value in keys.items())], cwd=folder, capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise RuntimeError(f"train: {done.stderr.strip()[-500:]}")
        context.vitrail.run("convert", folder / "run", "-o", folder / "hf")
        model, processor = load_hf(folder / "hf")
        if not model.state_dict().get("embeddings.mask_token", torch.ones(1)).any():
            raise NotStrict("the trained mask token is lost")
        return hf_numbers(model, hf_pixels(processor, context.images), v)

    back = {"hf_dinov2": hf_loader(v, context.images), "dinov2 (timm)": dinov2_loader(v), "dinov2 (repository)": repository_loader(v),
            "timm": timm_loader(lambda: timm_vit(v), ())}
    return Case(name, settings, ("transformers", "timm"), save, file="run", back=back)


def cases(context) -> list[Case]:
    def dinov2(name, settings, v, **changes):
        keys = {"model.num_registers": v.registers, "model.ffn": "swiglu" if v.swiglu else "mlp",
                "model.layerscale_init": 1 if v.layer_scale else 0}
        return run_case(name, settings, v, "dinov2_emoji.yaml", {**keys, **changes}, context)

    # Image sides at which both programs crop the test images at the same place.
    plain = Vit(dim=48, depth=2, heads=3)
    scaled = replace(plain, layer_scale=True)
    swiglu = replace(scaled, swiglu=True, hidden=64)
    return [
        dinov2("DINOv2 run", "patch 8, no registers", scaled),
        dinov2("DINOv2 run, patch 14", "4 registers", replace(scaled, image=56, patch=14, registers=4),
               **{"crops.local_size": 28}),
        dinov2("DINOv2 run, patch 16", "SwiGLU", replace(swiglu, image=80, patch=16), **{"crops.local_size": 48}),
        dinov2("DINOv2 run, SwiGLU and registers", "2 registers", replace(swiglu, registers=2)),
        dinov2("DINOv2 run, no LayerScale", "2 registers", replace(plain, registers=2)),
        run_case("DINO run", "dino_emoji.yaml, patch 8", plain, "dino_emoji.yaml", {}, context),
    ]
