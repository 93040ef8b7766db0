"""Vision transformers in the classes of timm, torchvision and transformers, all from one set of settings.

A model that one library has saved, and that vitrail has converted, is loaded strictly into the class of another one.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from harness import NotStrict, Theirs, need


@dataclass(frozen=True)
class Vit:
    image: int = 32
    patch: int = 8
    dim: int = 48
    depth: int = 2
    heads: int = 4
    hidden: int = 96
    eps: float = 1e-6
    act: str = "gelu"  # Hugging Face's name
    qkv_bias: bool = True
    classes: tuple[str, ...] = ()
    distilled: bool = False
    registers: int = 0
    register_positions: bool = False
    layer_scale: bool = False
    swiglu: bool = False
    pool: str = "token"  # or "avg"
    both: bool = False  # the classifier reads the class token and the mean of the patches, as Hugging Face's Dinov2 does


def stir(model: torch.nn.Module, seed: int = 1) -> torch.nn.Module:
    """Fills a model with random weights that make every setting count: attention is not uniform, norms are not one."""
    random = torch.Generator().manual_seed(seed)
    tables = ("embed", "token", "position", "class_embedding")
    for name, parameter in model.named_parameters():
        if parameter.numel() == 1:  # the temperature of a CLIP
            continue
        noise = torch.randn(parameter.shape, generator=random)
        parent, _, leaf = name.rpartition(".")
        if leaf in ("gamma", "lambda1", "gamma_1", "gamma_2"):  # layer scale
            value = 0.5 + 0.2 * noise
        elif parameter.ndim == 1 and leaf == "weight":  # norm
            value = 1 + 0.3 * noise
        elif leaf == "bias" or leaf.endswith("_bias"):
            value = 0.3 * noise
        elif any(t in leaf for t in tables) or parent.endswith("embedding"):
            value = 0.7 * noise
        else:
            value = 1.5 * noise / parameter[0].numel() ** 0.5
        parameter.data.copy_(value)
    return model.eval()


def open_images(paths) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in paths]


def numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().numpy()


def load_strictly(model: torch.nn.Module, weights: dict) -> torch.nn.Module:
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise NotStrict(" ".join(str(error).split())) from error
    return model.float().eval()


def read_weights(path: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(path)


# ---- timm -----------------------------------------------------------------------------------------------------------

TIMM_ACTS = {"gelu": "gelu", "quick_gelu": "quick_gelu", "gelu_pytorch_tanh": "gelu_tanh", "gelu_new": "gelu_tanh"}


def timm_vit(v: Vit) -> torch.nn.Module:
    need("timm")
    from functools import partial

    from timm.layers import LayerNorm, SwiGLUPacked
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.vision_transformer import VisionTransformer

    settings = dict(img_size=v.image, patch_size=v.patch, embed_dim=v.dim, depth=v.depth, num_heads=v.heads,
                    mlp_ratio=v.hidden / v.dim, num_classes=len(v.classes), qkv_bias=v.qkv_bias,
                    norm_layer=partial(LayerNorm, eps=v.eps), act_layer=TIMM_ACTS[v.act],
                    init_values=1.0 if v.layer_scale else None)
    if v.distilled:
        return VisionTransformerDistilled(**settings)
    if v.swiglu:
        settings.update(mlp_layer=SwiGLUPacked, act_layer="silu", mlp_ratio=2 * v.hidden / v.dim)
    if v.registers:
        settings.update(reg_tokens=v.registers, no_embed_class=not v.register_positions)
    return VisionTransformer(global_pool=v.pool, **settings)


def timm_numbers(model: torch.nn.Module, pixels, classes=()) -> Theirs:
    with torch.no_grad():
        tokens = model.forward_features(torch.as_tensor(pixels))
        if getattr(model, "dist_token", None) is not None:
            features = tokens[:, :2].flatten(1)  # vitrail keeps both tokens; timm's features are their mean
        else:
            features = model.forward_head(tokens, pre_logits=True)
        logits = numbers(model.forward_head(tokens)) if model.num_classes > 0 else None
    return Theirs(numbers(features), logits, list(classes), pixels=pixels)


def timm_loader(make, classes):
    def load(path: Path, pixels) -> Theirs:
        return timm_numbers(load_strictly(make(), read_weights(path)), pixels, classes)

    return load


def dinov2_loader(v: Vit):
    """timm converts DINOv2's checkpoints when it loads them."""

    def load(path: Path, pixels) -> Theirs:
        need("timm")
        from timm.models.vision_transformer import checkpoint_filter_fn

        model = timm_vit(v)
        return timm_numbers(load_strictly(model, checkpoint_filter_fn(read_weights(path), model)), pixels, v.classes)

    return load


# ---- torchvision ----------------------------------------------------------------------------------------------------


def torchvision_vit(v: Vit) -> torch.nn.Module:
    need("torchvision")
    from functools import partial

    from torchvision.models import VisionTransformer

    model = VisionTransformer(image_size=v.image, patch_size=v.patch, num_layers=v.depth, num_heads=v.heads,
                              hidden_dim=v.dim, mlp_dim=v.hidden, num_classes=max(1, len(v.classes)),
                              norm_layer=partial(torch.nn.LayerNorm, eps=v.eps))
    if not v.classes:
        model.heads = torch.nn.Identity()
    return model


def torchvision_numbers(model: torch.nn.Module, pixels, classes=()) -> Theirs:
    pixels_in = torch.as_tensor(pixels)
    with torch.no_grad():
        logits = model(pixels_in)
        head, model.heads = model.heads, torch.nn.Identity()
        features = model(pixels_in)
        model.heads = head
    return Theirs(numbers(features), numbers(logits) if classes else None, list(classes), pixels=pixels)


def torchvision_loader(v: Vit):
    def load(path: Path, pixels) -> Theirs:
        return torchvision_numbers(load_strictly(torchvision_vit(v), read_weights(path)), pixels, v.classes)

    return load


# ---- transformers ---------------------------------------------------------------------------------------------------


def hf_numbers(model: torch.nn.Module, pixels, v: Vit, **arguments) -> Theirs:
    """The features that vitrail has: the tokens that a classifier reads. arguments: of the model's forward."""
    inputs = torch.as_tensor(pixels)[:, : model.config.num_channels]
    with torch.no_grad():
        logits = getattr(model(inputs, **arguments), "logits", None) if v.classes else None
        base = getattr(model, model.base_model_prefix, model)
        if type(model).__name__.startswith("CLIPVision"):  # the norm comes after the tokens
            out = model(inputs)
            features = getattr(out, "image_embeds", None)
            return Theirs(numbers(out.pooler_output if features is None else features), pixels=pixels)
        if hasattr(base, "out_features"):  # a backbone gives the patches as maps
            tokens = base.layernorm(base(inputs, output_hidden_states=True, **arguments).hidden_states[-1])
        else:
            tokens = base(inputs, **arguments).last_hidden_state
    features = tokens[:, 0]
    if v.distilled:
        features = tokens[:, :2].flatten(1)
    if v.both:
        features = torch.cat([features, tokens[:, 1 + v.registers :].mean(1)], 1)
    return Theirs(numbers(features), None if logits is None else numbers(logits), list(v.classes), pixels=pixels)


def load_model(path: Path):
    """The model of a folder, of the class that its config.json names. Throws NotStrict."""
    import transformers

    name = json.loads((path / "config.json").read_text())["architectures"][0]
    try:
        model, report = getattr(transformers, name).from_pretrained(path, output_loading_info=True)
    except RuntimeError as error:  # shapes
        raise NotStrict(str(error)) from error
    wrong = {key: value for key, value in report.items() if value and key != "error_msgs"}
    unpooled = {key for key in wrong.get("missing_keys", ()) if not key.startswith("pooler.")}
    if set(wrong) == {"missing_keys"} and not unpooled:
        wrong = {}  # ViTModel always makes a pooler, and published models of images have none
    if wrong:
        raise NotStrict(str(wrong))
    return model.float().eval()


def load_hf(path: Path):
    """The model and the image processor of a folder."""
    return load_model(path), hf_processor(path)


def hf_processor(path: Path):
    from transformers import AutoImageProcessor

    return AutoImageProcessor.from_pretrained(path, backend="pil")  # as vitrail resizes: Pillow, to 8 bits


def hf_pixels(processor, images) -> np.ndarray:
    return processor(open_images(images), return_tensors="np")["pixel_values"].astype(np.float32)


def hf_loader(v: Vit, images):
    """Compares the numbers from equal inputs, and for models of transformers the inputs too. timm and torchvision round
    the place of the crop otherwise; `vitrail convert` says so."""

    def load(path: Path, pixels) -> Theirs:
        need("transformers")
        model, processor = load_hf(path)
        result = hf_numbers(model, pixels, v)
        result.pixels = hf_pixels(processor, images) if images else None
        return result

    return load


def backs(v: Vit, images=None, make_timm=None) -> dict:
    """What loads the conversions of a vision transformer, by layout. DINO and DINOv2 are no packages: timm's classes
    stand for them, with the options that they have. images: compare how they are prepared, too."""
    dino = replace(v, act="gelu", layer_scale=False, registers=0, swiglu=False, distilled=False, pool="token")
    dinov2 = replace(v, act="gelu", distilled=False, pool="token", classes=())
    return {"hf": hf_loader(v, images), "timm": timm_loader(make_timm or (lambda: timm_vit(v)), v.classes),
            "dino": timm_loader(lambda: timm_vit(dino), v.classes), "dinov2": dinov2_loader(dinov2),
            "torchvision": torchvision_loader(v)}
