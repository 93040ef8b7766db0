"""Models of timm and torchvision, and checkpoints in DINO's names."""

from pathlib import Path

import numpy as np
import torch

from harness import Case, Missing, Theirs, need
from vits import Vit, backs, numbers, open_images, stir, timm_numbers, timm_vit, torchvision_numbers, torchvision_vit

NAMES = ("ant", "bee", "cat")
SMALL = dict(img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=4)
PIXELS = dict(input_size=(3, 32, 32), crop_pct=0.9, interpolation="bicubic", mean=(0.4, 0.45, 0.5), std=(0.2, 0.25, 0.3))


def pixels_of(pretrained_cfg: dict, images) -> np.ndarray:
    from timm.data import create_transform, resolve_data_config

    transform = create_transform(**resolve_data_config({}, pretrained_cfg=pretrained_cfg), is_training=False)
    channels = 1 if tuple(pretrained_cfg.get("input_size", ()))[:1] == (1,) else 3
    return torch.stack([transform(image)[:channels] for image in open_images(images)]).numpy()


def hub_case(name: str, settings: str, architecture: str, context, arguments=None, pixels=None, classes=NAMES,
             refused="", back=None, edit=None, dtype=torch.float32,
             convert=True) -> Case:
    """arguments: of the model, beside SMALL; None removes one of SMALL. back: the same model as a Vit, if there is one."""
    given = {**SMALL, **(arguments or {}), "num_classes": len(classes)}
    given = {key: value for key, value in given.items() if value is not None}

    def make():
        import timm

        return timm.create_model(architecture, pretrained=False, pretrained_cfg_overlay={**PIXELS, **(pixels or {})},
                                 **given)

    def save(folder: Path) -> Theirs:
        from timm.models._hub import save_for_hf

        model = stir(make()).to(dtype)
        labels = {"label_names": list(classes)} if classes else {}
        recorded = {key: value for key, value in given.items() if key != "num_classes"}
        save_for_hf(model, folder, model_config=labels, model_args=recorded, safe_serialization=True)
        inputs = pixels_of(model.pretrained_cfg, context.images)
        if edit:
            edit(folder)
        return timm_numbers(model.float(), inputs, classes)

    loaders = backs(back or Vit(classes=classes, hidden=192), make_timm=make)
    return Case(name, settings, ("timm",), save, refused, back=loaders if convert else {})


def hub_cases(context) -> list[Case]:
    from hugging_face import changed

    def case(name, settings, architecture, *, back=None, **options):
        return hub_case(name, settings, architecture, context, back=back, **options)

    def tiny(name, settings, *, refused="", pixels=None, dtype=torch.float32, convert=True, back=None, **arguments):
        return case(name, settings, "vit_tiny_patch16_224", arguments=arguments, pixels=pixels, refused=refused,
                    dtype=dtype, convert=convert, back=back)

    same = dict(hidden=192)
    ratio2 = {"mlp_ratio": 2}
    return [
        case("timm ViT", "4 heads in model_args, label_names", "vit_tiny_patch16_224", back=Vit(classes=NAMES, **same)),
        case("timm ViT, heads by name", "vit_tiny: 3 heads, no classifier", "vit_tiny_patch16_224",
             arguments={"num_heads": None}, classes=(), back=Vit(heads=3, **same)),
        case("timm ViT, average", "global_pool avg", "vit_tiny_patch16_224", arguments={"global_pool": "avg"},
             back=Vit(pool="avg", classes=NAMES, **same)),
        case("timm ViT, class token with fc_norm", "fc_norm true", "vit_tiny_patch16_224", arguments={"fc_norm": True},
             refused="fc_norm"),
        case("timm ViT, average without fc_norm", "global_pool avg, fc_norm false", "vit_tiny_patch16_224",
             arguments={"global_pool": "avg", "fc_norm": False}, refused="fc_norm"),
        case("timm ViT, maximum", "global_pool max", "vit_tiny_patch16_224", arguments={"global_pool": "max"},
             refused="global_pool"),
        case("timm ViT, GELU tanh", "act_layer gelu_tanh", "vit_tiny_patch16_224", arguments={"act_layer": "gelu_tanh"},
             back=Vit(act="gelu_pytorch_tanh", classes=NAMES, **same)),
        case("timm ViT, QuickGELU", "act_layer quick_gelu", "vit_tiny_patch16_224",
             arguments={"act_layer": "quick_gelu"}),
        case("timm ViT, ReLU", "act_layer relu", "vit_tiny_patch16_224", arguments={"act_layer": "relu"},
             refused="act_layer"),
        case("timm ViT, RMSNorm", "norm_layer rmsnorm", "vit_tiny_patch16_224", arguments={"norm_layer": "rmsnorm"},
             refused="norm"),
        case("timm ViT, layer scale", "init_values, qkv_bias false, mlp_ratio 2", "vit_tiny_patch16_224",
             arguments={"init_values": 0.1, "qkv_bias": False, **ratio2},
             back=Vit(layer_scale=True, qkv_bias=False, classes=NAMES)),
        case("timm ViT, norms of queries and keys", "qk_norm", "vit_tiny_patch16_224", arguments={"qk_norm": True}),
        case("timm ViT, registers with positions", "reg_tokens 2", "vit_tiny_patch16_224",
             arguments={"reg_tokens": 2}),
        case("timm ViT, pool with prefix", "pool_include_prefix", "vit_tiny_patch16_224",
             arguments={"global_pool": "avg", "pool_include_prefix": True}, refused="pool_include_prefix"),
        case("timm ViT, no final norm", "final_norm false", "vit_tiny_patch16_224", arguments={"final_norm": False},
             refused="norm"),
        case("timm ViT, no positions", "pos_embed none", "vit_tiny_patch16_224", arguments={"pos_embed": "none"},
             refused="pos_embed"),
        case("timm ViT, norms in branches", "scale_attn_norm", "vit_tiny_patch16_224",
             arguments={"scale_attn_norm": True}, refused="attn"),
        case("timm ViT, post-norm", "vit_base_patch16_rpn_224", "vit_base_patch16_rpn_224", refused="architecture"),
        case("timm CLIP tower", "eps 1e-5 by name", "vit_base_patch32_clip_224", classes=()),
        case("timm CLIP tower, QuickGELU", "by name, with a classifier", "vit_base_patch32_clip_quickgelu_224"),
        case("timm Dinov2", "vit_small_patch14_dinov2", "vit_small_patch14_dinov2", classes=(),
             back=Vit(layer_scale=True, **same)),
        case("timm Dinov2 with registers", "4 registers, no_embed_class", "vit_small_patch14_reg4_dinov2", classes=(),
             back=Vit(layer_scale=True, registers=4, **same)),
        case("timm Dinov2, SwiGLU", "vit_giant_patch14_dinov2", "vit_giant_patch14_dinov2", classes=(),
             arguments={"mlp_ratio": 256 / 48}, back=Vit(layer_scale=True, swiglu=True, hidden=128)),
        case("timm DeiT, distilled", "deit_tiny_distilled", "deit_tiny_distilled_patch16_224",
             back=Vit(distilled=True, classes=NAMES, **same)),
        case("timm DeiT III", "no_embed_class, init_values", "deit3_small_patch16_224"),
        case("timm ViT, no class token", "vit_medium_patch16_gap_256", "vit_medium_patch16_gap_256"),
        case("timm ViT, registers and average", "vit_medium_patch16_reg4_gap_256", "vit_medium_patch16_reg4_gap_256"),
        case("timm ViT, bilinear, no border", "crop_pct 1, bilinear", "vit_tiny_patch16_224",
             pixels={"crop_pct": 1.0, "interpolation": "bilinear"}),
        case("timm ViT, small crop", "crop_pct 0.55", "vit_tiny_patch16_224", pixels={"crop_pct": 0.55}),
        case("timm ViT, squashed", "crop_mode squash", "vit_tiny_patch16_224", pixels={"crop_mode": "squash"},
             refused="crop_mode"),
        case("timm ViT, border", "crop_mode border", "vit_tiny_patch16_224", pixels={"crop_mode": "border"},
             refused="crop_mode"),
        case("timm ViT, not square", "img_size 32 x 48", "vit_tiny_patch16_224", arguments={"img_size": (32, 48)},
             pixels={"input_size": (3, 32, 48)}, refused="size"),
        case("timm ViT, unknown argument", "model_args.surprise", "vit_tiny_patch16_224", refused="surprise",
             edit=changed("config.json", model_args={**SMALL, "surprise": 1})),
        case("timm SigLIP tower", "vit_base_patch16_siglip_224", "vit_base_patch16_siglip_224", classes=(),
             refused="architecture"),
        tiny("timm ViT, norm before the blocks", "pre_norm", pre_norm=True),
        tiny("timm ViT, no class token by argument", "class_token false, average", class_token=False,
             global_pool="avg"),
        tiny("timm ViT, registers alone", "class_token false, 3 registers without positions, average",
             class_token=False, global_pool="avg", reg_tokens=3, no_embed_class=True),
        tiny("timm ViT, many options", "pre_norm, qk_norm, LayerScale, 2 registers without positions", pre_norm=True,
             qk_norm=True, init_values=0.1, reg_tokens=2, no_embed_class=True),
        tiny("timm ViT, LayerScale of zeros", "init_values 0: none is made", init_values=0.0),
        tiny("timm ViT, norm in f32", "norm_layer layernormfp32", norm_layer="layernormfp32"),
        tiny("timm ViT, positions for 48", "img_size 48, dynamic_img_size, images of 32", convert=False,
             img_size=48, dynamic_img_size=True),
        tiny("timm ViT, patch 32", "one patch", patch_size=32, back=Vit(patch=32, classes=NAMES, **same)),
        tiny("timm ViT, one channel", "in_chans 1", refused="in_chans", pixels={"input_size": (1, 32, 32)},
             in_chans=1),
        tiny("timm ViT, no bias of projections", "proj_bias false", refused="proj_bias", proj_bias=False),
        tiny("timm ViT, average and maximum", "global_pool avgmax", refused="global_pool", global_pool="avgmax"),
        tiny("timm ViT, attention pool", "global_pool map", refused="global_pool", global_pool="map"),
        tiny("timm ViT, differential attention", "attn_layer diff", refused="attn_layer", attn_layer="diff"),
        tiny("timm ViT, Lanczos", "interpolation lanczos, mean 0, std 1",
             pixels=dict(interpolation="lanczos", mean=(0, 0, 0), std=(1, 1, 1))),
        tiny("timm ViT, f16", "f16", dtype=torch.float16),
        tiny("timm ViT, bf16", "bf16", dtype=torch.bfloat16),
        case("timm CLIP tower, GELU by argument", "quickgelu's name, act_layer gelu", classes=(),
             architecture="vit_base_patch32_clip_quickgelu_224", arguments={"act_layer": "gelu"}),
        case("timm CLIP tower, norm by argument", "norm_layer layernorm: eps 1e-6", classes=(),
             architecture="vit_base_patch32_clip_224", arguments={"norm_layer": "layernorm"}),
        case("timm DeiT, distilled, no classifier", "deit_small_distilled", "deit_small_distilled_patch16_224",
             classes=(), back=Vit(distilled=True, **same)),
        case("timm ViT with convolutions", "vit_small_r26_s32_224", "vit_small_r26_s32_224", refused="architecture",
             arguments={"patch_size": None, "img_size": 64}, pixels={"input_size": (3, 64, 64)}),
        case("timm ViT, relative positions", "another architecture", "vit_relpos_small_patch16_224",
             refused="architecture"),
        case("timm ConvNeXt", "another architecture", "convnext_atto", refused="architecture", classes=(),
             arguments={key: None for key in SMALL}),
        case("timm BEiT", "another architecture", "beit_base_patch16_224", refused="architecture"),
        case("timm EVA", "another architecture", "eva02_tiny_patch14_224", classes=(), refused="architecture"),
        case("timm ResNet", "another architecture", "resnet18", refused="architecture", classes=(),
             arguments={key: None for key in SMALL}),
    ]


# ---- every name -----------------------------------------------------------------------------------------------------


def name_cases(context) -> list[Case]:
    """Each architecture of timm's ViT and DeiT, made small. What its name stands for must be known or refused."""
    try:
        need("timm")
    except Missing:
        return []  # the other cases report it
    import timm

    def case(architecture: str) -> Case:
        def save(folder: Path) -> Theirs:
            from timm.models._hub import save_for_hf

            model, arguments = make_small(architecture)
            save_for_hf(stir(model), folder, model_args=arguments, safe_serialization=True)
            return timm_numbers(model, pixels_of(model.pretrained_cfg, context.images))

        # The message may name the architecture, or the option that it stands for.
        return Case(f"timm {architecture}", "by name", ("timm",), save, f"{architecture}|architecture|global_pool",
                    group="timm, every name of ViT and DeiT")

    names = [name for module in ("vision_transformer", "deit") for name in timm.list_models(module=module)]
    return [case(name) for name in names]


def make_small(architecture: str):
    """The model and the arguments that make it small. Its number of heads, its feed-forward ratio and all options are
    those of the name, so that the width must be a multiple of the heads."""
    import timm

    for width in (48, 64, 80, 56, 44, 52, 72, 88, 104):
        arguments = dict(img_size=32, patch_size=8, embed_dim=width, depth=2)
        try:
            return timm.create_model(architecture, pretrained=False, pretrained_cfg_overlay=PIXELS, num_classes=0,
                                     **arguments), arguments
        except (AssertionError, ValueError):
            continue
    raise ValueError(f"{architecture}: no small width fits its heads")


# ---- single files ---------------------------------------------------------------------------------------------------

ONE_HEAD = dict(dim=64, hidden=256, heads=1)  # weights alone do not say how many heads there are: 64 numbers each


def usual_pixels(images, side: int, bilinear=False) -> np.ndarray:
    """What vitrail takes for the preprocessing of a lone file, and says so."""
    from torchvision import transforms

    mode = transforms.InterpolationMode.BILINEAR if bilinear else transforms.InterpolationMode.BICUBIC
    steps = transforms.Compose([transforms.Resize(side * 256 // 224, mode), transforms.CenterCrop(side),
                                transforms.ToTensor(),
                                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    return torch.stack([steps(image) for image in open_images(images)]).numpy()


def file_case(name: str, settings: str, v: Vit, context, make, compute, needs, bilinear=False, rename=None,
              refused="") -> Case:
    """rename: what becomes of the weights before they are saved."""

    def save(folder: Path) -> Theirs:
        from safetensors.torch import save_file

        model = stir(make(v))
        weights = model.state_dict()
        save_file(rename(weights) if rename else weights, folder / "weights.safetensors")
        return compute(model, usual_pixels(context.images, v.image, bilinear), v.classes)

    return Case(name, settings, needs, save, refused, file="weights.safetensors", back=backs(v))


def whole_dino_checkpoint(teacher: dict) -> dict:
    """A training checkpoint: student and teacher, each with its head."""
    student = {"student.module.backbone." + name: value + 1 for name, value in teacher.items()}
    whole = {"teacher.backbone." + name: value.clone() for name, value in teacher.items()} | student
    random = torch.Generator().manual_seed(2)
    shapes = {"mlp.0.weight": (32, 64), "mlp.0.bias": (32,), "mlp.2.weight": (16, 32), "mlp.2.bias": (16,),
              "last_layer.weight_g": (40, 1), "last_layer.weight_v": (40, 16)}
    for owner in ("teacher.head.", "student.module.head."):
        whole |= {owner + name: torch.randn(shape, generator=random) for name, shape in shapes.items()}
    return whole


def file_cases(context) -> list[Case]:
    def torchvision(name, settings, v, **options):
        return file_case(name, settings, v, context, torchvision_vit, torchvision_numbers, ("torchvision",),
                         bilinear=True, **options)

    def dino(name, settings, v, **options):
        return file_case(name, settings, v, context, timm_vit, timm_numbers, ("timm", "torchvision"), **options)

    return [
        torchvision("torchvision ViT", "lone file, 3 classes", Vit(**ONE_HEAD, classes=NAMES)),
        torchvision("torchvision ViT, 2 heads", "lone file, width 128", Vit(dim=128, heads=2, hidden=160, classes=NAMES)),
        dino("DINO backbone", "lone file", Vit(**ONE_HEAD)),
        dino("DINO, student and teacher", "whole checkpoint", Vit(**ONE_HEAD), rename=whole_dino_checkpoint),
        dino("DINO, prefix module.", "lone file", Vit(**ONE_HEAD),
             rename=lambda weights: {"module." + name: value for name, value in weights.items()}),
    ]


def cases(context) -> list[Case]:
    return hub_cases(context) + file_cases(context) + name_cases(context)
