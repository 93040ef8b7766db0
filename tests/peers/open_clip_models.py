"""Models of open_clip, saved as it saves them for the Hub: open_clip_config.json and open_clip_model.safetensors."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import torch

from harness import TEXTS, Case, NotStrict, Theirs, need
from vits import load_strictly, numbers, open_images, read_weights, stir

VISION = dict(image_size=32, patch_size=8, width=48, head_width=12, layers=2, mlp_ratio=2.0)
WEIGHTS = "open_clip_model.safetensors"
TEXT = dict(context_length=16, width=32, heads=4, layers=2)


class Tokenizer:
    """open_clip's own tokenizer with a small vocabulary. It is saved as merges.txt and vocab.json."""

    def __init__(self, vocabulary: Path, length: int):
        from open_clip.tokenizer import SimpleTokenizer

        packed = vocabulary / "merges.txt.gz"
        packed.write_bytes(gzip.compress((vocabulary / "merges.txt").read_text().rstrip("\n").encode()))
        self.tokenizer, self.folder = SimpleTokenizer(bpe_path=str(packed), context_length=length), vocabulary

    def __call__(self, texts):
        return self.tokenizer(texts)

    def save_pretrained(self, folder):
        for file in ("merges.txt", "vocab.json"):
            shutil.copy(self.folder / file, folder)


def words_in(vocabulary: Path) -> int:
    return len(json.loads((vocabulary / "vocab.json").read_text()))


def clip_numbers(model, preprocess, vocabulary: Path, images, length: int) -> Theirs:
    pixels = torch.stack([preprocess(image) for image in open_images(images)])
    return numbers_of(model, pixels, Tokenizer(vocabulary, length))


def numbers_of(model, pixels, tokenizer, prepared=None) -> Theirs:
    """prepared: the input that the model's own preprocessing makes."""
    with torch.no_grad():
        features = model.encode_image(torch.as_tensor(pixels))
        a = torch.nn.functional.normalize(features, dim=-1)
        b = torch.nn.functional.normalize(model.encode_text(tokenizer(TEXTS)), dim=-1)
        probabilities = (model.logit_scale.exp() * a @ b.T).softmax(-1)
    return Theirs(numbers(features), text_probabilities=numbers(probabilities),
                  pixels=np.asarray(pixels if prepared is None else prepared))


def load_folder(folder: Path):
    """As a user of open_clip loads a folder. It loads strictly."""
    import open_clip

    try:
        model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
        return model.eval(), preprocess
    except RuntimeError as error:
        raise NotStrict(" ".join(str(error).split())) from error


def case(name: str, settings: str, context, *, vision=None, text=None, model=None, pixels=None, edit=None,
         refused="", back=True) -> Case:
    """vision, text, model: keys of the parts of model_cfg; None removes one. pixels: keys of preprocess_cfg."""

    def save(folder: Path) -> Theirs:
        import open_clip
        from open_clip.model import set_model_preprocess_cfg
        from open_clip.push_to_hf_hub import save_for_hf

        config = {"embed_dim": 24, "vision_cfg": {**VISION, **(vision or {})},
                  "text_cfg": {**TEXT, "vocab_size": words_in(context.vocabulary), **(text or {})}, **(model or {})}
        built = {key: value for key, value in config.items() if key != "custom_text"}
        network = stir((open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP)(**built))
        set_model_preprocess_cfg(network, {"mean": (0.4, 0.45, 0.5), "std": (0.2, 0.25, 0.3), "size": 32,
                                           "interpolation": "bicubic", "resize_mode": "shortest", **(pixels or {})})
        length = config["text_cfg"]["context_length"]
        save_for_hf(network, Tokenizer(context.vocabulary, length), config, folder, safe_serialization=True)
        if edit:
            edit(folder)
        loaded, preprocess = load_folder(folder)
        return clip_numbers(loaded, preprocess, context.vocabulary, context.images, length)

    return Case(name, settings, ("open-clip-torch",), save, refused, back=context.clip_backs() if back else {})


def in_halves(folder: Path) -> None:
    from safetensors.torch import save_file

    weights = read_weights(folder / WEIGHTS)
    save_file({name: w.half() for name, w in weights.items()}, folder / WEIGHTS, metadata={"format": "pt"})


def loaders(context) -> dict:
    """What loads vitrail's conversions of a CLIP into open_clip."""

    def folder(path: Path, pixels) -> Theirs:
        need("open-clip-torch")
        model, preprocess = load_folder(path)
        return numbers_of(model, pixels, Tokenizer(context.vocabulary, model.context_length),
                          torch.stack([preprocess(image) for image in open_images(context.images)]))

    def openai(path: Path, pixels) -> Theirs:
        """open_clip's reader of OpenAI's weights finds the sizes in the weights; heads are 64 wide there, so that a
        small model needs its own."""
        need("open-clip-torch")
        import open_clip

        weights = read_weights(path)
        config = json.loads((path.parent / "as_open_clip" / "open_clip_config.json").read_text())["model_cfg"]
        model = open_clip.CLIP(**config)
        load_strictly(model, weights)
        return numbers_of(model, pixels, Tokenizer(context.vocabulary, model.context_length))

    return {"open_clip": folder, "openai_clip": openai}


def cases(context) -> list[Case]:
    def clip(*arguments, **options):
        return case(*arguments, context, **options)

    return [
        clip("open_clip", "GELU, 4 heads of 12"),
        clip("open_clip, QuickGELU", "quick_gelu", model={"quick_gelu": True}),
        clip("open_clip, context and widths", "7 tokens, head_width 24, embed_dim 40, mlp_ratio 3",
             vision={"head_width": 24, "mlp_ratio": 3.0}, text={"context_length": 7, "mlp_ratio": 2.0},
             model={"embed_dim": 40}),
        clip("open_clip, layer scale", "ls_init_value in both towers", vision={"ls_init_value": 0.1},
             text={"ls_init_value": 0.1}),
        clip("open_clip, text module", "custom_text", model={"custom_text": True}),
        clip("open_clip, SigLIP's loss", "custom_text, init_logit_bias -10",
             model={"custom_text": True, "init_logit_bias": -10.0}),
        clip("open_clip, average", "vision pool_type avg", vision={"pool_type": "avg"}, refused="pool_type"),
        clip("open_clip, average after the norm", "pool_type avg, final_ln_after_pool",
             vision={"pool_type": "avg", "final_ln_after_pool": True}, refused="pool_type"),
        clip("open_clip, no first norm", "no_ln_pre", vision={"no_ln_pre": True}, refused="no_ln_pre"),
        clip("open_clip, GELU tanh", "act_kwargs approximate tanh in both", vision={"act_kwargs": {"approximate": "tanh"}},
             text={"act_kwargs": {"approximate": "tanh"}}, refused="act_kwargs"),
        clip("open_clip, GELU tanh for images", "act_kwargs in vision_cfg", refused="act_kwargs",
             vision={"act_kwargs": {"approximate": "tanh"}}),
        clip("open_clip, epsilon", "norm_kwargs eps 1e-2 and 3e-2", vision={"norm_kwargs": {"eps": 1e-2}},
             text={"norm_kwargs": {"eps": 3e-2}}, refused="norm_kwargs"),
        clip("open_clip, no causal mask", "no_causal_mask", text={"no_causal_mask": True}, refused="no_causal_mask"),
        clip("open_clip, last token", "text pool_type last", text={"pool_type": "last"}, refused="pool_type"),
        clip("open_clip, first token", "text pool_type first", text={"pool_type": "first"}, refused="pool_type"),
        clip("open_clip, CLIPA", "avg, no_ln_pre, last, no mask, tanh", refused="_cfg",
             vision={"pool_type": "avg", "no_ln_pre": True, "final_ln_after_pool": True,
                     "act_kwargs": {"approximate": "tanh"}},
             text={"pool_type": "last", "no_causal_mask": True, "act_kwargs": {"approximate": "tanh"}}),
        clip("open_clip, end of text by its id", "text pool_type eos, eos_id", refused="pool_type|eos_id",
             text={"pool_type": "eos", "eos_id": words_in(context.vocabulary) - 1}),
        clip("open_clip, norm after the text's pool", "text final_ln_after_pool", text={"final_ln_after_pool": True}),
        clip("open_clip, no projection of texts", "text proj_type none, width 24", refused="proj_type",
             text={"proj_type": "none", "width": 24}, model={"custom_text": True}),
        clip("open_clip, norms of queries and keys", "qk_norm in both", vision={"qk_norm": True}, text={"qk_norm": True},
             refused="qk_norm"),
        clip("open_clip, scaled branches", "scale_attn, scale_fc", vision={"scale_attn": True, "scale_fc": True},
             refused="scale_"),
        clip("open_clip, projection with bias", "text proj_bias", text={"proj_bias": True}, refused="proj_bias"),
        clip("open_clip, class token in texts", "embed_cls", text={"embed_cls": True}, model={"custom_text": True},
             refused="embed_cls"),
        clip("open_clip, attention pool", "attentional_pool", refused="attentional_pool",
             vision={"attentional_pool": True, "attn_pooler_heads": 4, "attn_pooler_queries": 8}),
        clip("open_clip, sines as positions", "pos_embed_type sin_cos_2d", vision={"pos_embed_type": "sin_cos_2d"},
             refused="pos_embed_type"),
        clip("open_clip, patch dropout", "patch_dropout 0.5", vision={"patch_dropout": 0.5}),
        clip("open_clip, squashed", "resize_mode squash, bilinear",
             pixels={"resize_mode": "squash", "interpolation": "bilinear"}),
        clip("open_clip, longest", "resize_mode longest", pixels={"resize_mode": "longest"}, refused="resize_mode"),
        clip("open_clip, ResNet", "layers [1, 1, 1, 1]", refused="layers",
             vision={"layers": [1, 1, 1, 1], "width": 8, "head_width": 64, "patch_size": None}),
        clip("open_clip, timm tower", "timm_model_name", refused="timm_model_name",
             vision={"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "token", "timm_proj": "linear",
                     "image_size": 224}, pixels={"size": 224}),
        clip("open_clip, QuickGELU and text module", "quick_gelu, custom_text",
             model={"quick_gelu": True, "custom_text": True}),
        clip("open_clip, scale as a list", "nonscalar_logit_scale", model={"nonscalar_logit_scale": True}),
        clip("open_clip, average, QuickGELU", "pool_type avg, quick_gelu", vision={"pool_type": "avg"},
             model={"quick_gelu": True}),
        clip("open_clip, last token without a mask", "pool_type last, no_causal_mask, quick_gelu",
             text={"pool_type": "last", "no_causal_mask": True}, model={"quick_gelu": True}),
        clip("open_clip, layer scale of texts", "ls_init_value in text_cfg", text={"ls_init_value": 0.1}),
        clip("open_clip, one head", "head_width 48, 1 head for texts, size as a list",
             vision={"head_width": 48, "image_size": [32, 32]}, text={"heads": 1}),
        clip("open_clip, usual values", "approximate none, block_type default, pad_id 1, attentional_pool false",
             vision={"act_kwargs": {"approximate": "none"}, "block_type": "default", "attentional_pool": False},
             text={"pad_id": 1, "block_type": "default", "final_ln_after_pool": True}),
        clip("open_clip, blocks of another type", "block_type custom", vision={"block_type": "custom"},
             refused="block_type"),
        clip("open_clip, scaled heads", "text scale_heads", text={"scale_heads": True}, refused="scale_heads"),
        clip("open_clip, norm in attention", "scale_attn_inner", vision={"scale_attn_inner": True},
             refused="scale_attn_inner"),
        clip("open_clip, other tokens", "tokenizer_kwargs clean whitespace", refused="tokenizer_kwargs",
             text={"tokenizer_kwargs": {"clean": "whitespace"}}),
        clip("open_clip, pixels as they are", "mean 0, std 1", pixels={"mean": (0, 0, 0), "std": (1, 1, 1)}),
        clip("open_clip, another size of images", "preprocess_cfg size 40", pixels={"size": 40}),
        clip("open_clip, f16", "weights in f16", edit=in_halves),
        clip("open_clip, another program's processor", "preprocessor_config.json with another mean",
             edit=lambda folder: (folder / "preprocessor_config.json").write_text('{"image_mean": [0.1, 0.2, 0.3]}')),
        clip("open_clip, model.safetensors", "weights of that name",
             edit=lambda folder: (folder / WEIGHTS).rename(folder / "model.safetensors")),
        clip("open_clip, PyTorch's name", "open_clip_pytorch_model.safetensors", model={"quick_gelu": True},
             edit=lambda folder: (folder / WEIGHTS).rename(folder / "open_clip_pytorch_model.safetensors")),
    ]
