"""Models of transformers: ViT, DeiT, Dinov2 with and without registers, CLIP, and its timm wrapper."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from harness import TEXTS, Case, Theirs, need
from vits import Vit, backs, hf_loader, hf_numbers, hf_pixels, hf_processor, load_hf, numbers, stir

NAMES = ("ant", "bee", "cat")
HALF = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)
SQUARE = dict(size={"height": 32, "width": 32}, **HALF)
SHORT = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
CROP = dict(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, do_center_crop=True,
            image_mean=[0.4, 0.45, 0.5], image_std=[0.2, 0.25, 0.3], resample=3)


def config_of(v: Vit, kind: str, more: dict):
    """kind: the beginning of the class names, such as "Dinov2WithRegisters"."""
    import transformers

    settings = dict(hidden_size=v.dim, num_hidden_layers=v.depth, num_attention_heads=v.heads, hidden_act=v.act,
                    layer_norm_eps=v.eps, image_size=v.image, patch_size=v.patch, qkv_bias=v.qkv_bias)
    if kind.startswith("Dinov2"):
        settings.update(mlp_ratio=v.hidden / v.dim if not v.swiglu else 4, use_swiglu_ffn=v.swiglu)
        if v.hidden % v.dim == 0 and not v.swiglu:
            settings["mlp_ratio"] = v.hidden // v.dim
        if v.registers:
            settings["num_register_tokens"] = v.registers
    else:
        settings["intermediate_size"] = v.hidden
    if v.classes:
        settings.update(id2label=dict(enumerate(v.classes)), label2id={name: i for i, name in enumerate(v.classes)})
    return getattr(transformers, kind + "Config")(**{**settings, **more})


def image_case(name: str, settings: str, v: Vit, model_class: str, images, *, kind="ViT", processor=("ViT", SQUARE),
               more=None, options=None, dtype=torch.float32, shards=None, run=None, edit=None, refused="",
               convert=True) -> Case:
    """more: settings of the configuration. options: arguments of the model's class. run: arguments of its forward.
    processor: a class and its settings, or the content of preprocessor_config.json. edit(folder) changes the files that
    were saved."""

    def save(folder: Path) -> Theirs:
        import transformers

        model = stir(getattr(transformers, model_class)(config_of(v, kind, more or {}), **(options or {})))
        model.to(dtype).save_pretrained(folder, **({"max_shard_size": shards} if shards else {}))
        if isinstance(processor, dict):
            (folder / "preprocessor_config.json").write_text(json.dumps(processor))
        else:
            processor_class, processor_settings = processor
            getattr(transformers, processor_class + "ImageProcessor")(**processor_settings).save_pretrained(folder)
        pixels = hf_pixels(hf_processor(folder), images)
        if edit:
            edit(folder)
        return hf_numbers(model.float(), pixels, v, **(run or {}))

    back = backs(v, images) if convert else {}
    return Case(name, settings, ("transformers",), save, refused, back=back)


def changed(file: str, **values):
    """An edit that sets keys of a JSON file; None removes one."""

    def edit(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        content.update(values)
        content = {key: value for key, value in content.items() if value is not None}
        (folder / file).write_text(json.dumps(content))

    return edit


def image_cases(images) -> list[Case]:
    plain = Vit(eps=1e-2, classes=NAMES)
    bare = Vit(eps=1e-2)
    dinov2 = Vit(eps=1e-2, layer_scale=True)
    registers = replace(dinov2, registers=3)
    labelled = dict(layer_scale=True, both=True, classes=NAMES, eps=1e-2)
    bit = ("Bit", CROP)

    def case(*arguments, **options):
        return image_case(*arguments, images, **options)

    def vit(name, settings, v=bare, model="ViTModel", **options):
        return case(name, settings, v, model, **options)

    def dino(name, settings, v, model="Dinov2Model", kind="Dinov2", **options):
        return case(name, settings, v, model, kind=kind, processor=options.pop("processor", bit), **options)

    return [
        vit("ViT classifier", "4 heads of 12, eps 1e-2, id2label", plain, "ViTForImageClassification"),
        vit("ViT classifier, permuted names", "id2label cat, ant, bee", replace(plain, classes=("cat", "ant", "bee")),
            "ViTForImageClassification", convert=False),
        vit("ViT without pooler", "add_pooling_layer false, 2 heads, patch 4", replace(bare, heads=2, patch=4),
            options={"add_pooling_layer": False}),
        vit("ViT with pooler", "depth 3, 6 heads", replace(bare, depth=3, heads=6)),
        vit("ViT, GELU tanh", "gelu_pytorch_tanh, qkv_bias false", replace(bare, act="gelu_pytorch_tanh", qkv_bias=False)),
        vit("ViT, gelu_new", "gelu_new, width 64 of one head", replace(bare, act="gelu_new", dim=64, hidden=128, heads=1)),
        vit("ViT, QuickGELU", "quick_gelu, hidden width 72", replace(bare, act="quick_gelu", hidden=72)),
        vit("ViT, ReLU", "hidden_act relu", replace(bare, act="relu"), refused="hidden_act", convert=False),
        vit("ViT, bf16 in shards", "bf16, max_shard_size 50KB", plain, "ViTForImageClassification",
            dtype=torch.bfloat16, shards="50KB"),
        vit("ViT, f16", "f16", dtype=torch.float16),
        vit("ViT, processor bicubic", "resample 3, std 0.2 0.3 0.4",
            processor=("ViT", dict(SQUARE, resample=3, image_std=[0.2, 0.3, 0.4])), convert=False),
        vit("ViT, processor Lanczos", "resample 1", processor=("ViT", dict(SQUARE, resample=1)), convert=False),
        vit("ViT, processor box", "resample 4", processor=("ViT", dict(SQUARE, resample=4)), convert=False),
        vit("ViT, not normalised", "do_normalize false", processor=("ViT", dict(SQUARE, do_normalize=False)),
            convert=False),
        vit("ViT, rescaled otherwise", "rescale_factor 1/127.5",
            processor=("ViT", dict(SQUARE, rescale_factor=1 / 127.5)), refused="rescale_factor", convert=False),
        vit("ViT, resized and cropped", "DeiT's processor: 40, crop 32",
            processor=("DeiT", dict(SQUARE, size={"height": 40, "width": 40}, do_center_crop=True,
                                    crop_size={"height": 32, "width": 32}, resample=3))),
        vit("ViT, processor of another size", "size 48, model 32",
            processor=("ViT", dict(SQUARE, size={"height": 48, "width": 48})), run={"interpolate_pos_encoding": True},
            refused="size", convert=False),
        vit("ViT, one channel", "num_channels 1", more={"num_channels": 1}, refused="num_channels", convert=False),
        vit("ViT, not square", "image_size 32 x 48", more={"image_size": (32, 48)}, refused="image_size",
            processor=("ViT", dict(SQUARE, size={"height": 32, "width": 48})), convert=False),
        vit("ViT, sizes as lists", "image_size [32, 32], patch_size [8, 8]",
            edit=changed("config.json", image_size=[32, 32], patch_size=[8, 8]), convert=False),
        vit("ViT, unknown key", "position_embedding_type relative_key",
            edit=changed("config.json", position_embedding_type="relative_key"), refused="position_embedding_type",
            convert=False),
        case("DeiT with teacher", "distilled, 3 classes", replace(plain, distilled=True),
             "DeiTForImageClassificationWithTeacher", kind="DeiT", processor=("DeiT", CROP_SQUARE)),
        case("DeiT without head", "distilled, 2 heads", replace(bare, distilled=True, heads=2), "DeiTModel",
             kind="DeiT", processor=("DeiT", CROP_SQUARE)),
        case("DeiT, one classifier", "DeiTForImageClassification",
             replace(plain, registers=1, register_positions=True), "DeiTForImageClassification", kind="DeiT",
             processor=("DeiT", CROP_SQUARE)),
        dino("Dinov2", "eps 1e-2, crop 32 of 36", dinov2),
        dino("Dinov2, SwiGLU", "SwiGLU, classifier on token and mean", Vit(swiglu=True, hidden=128, **labelled),
             "Dinov2ForImageClassification"),
        dino("Dinov2, no mask token", "use_mask_token false, mlp_ratio 3", replace(dinov2, hidden=144),
             more={"use_mask_token": False}),
        dino("Dinov2 for larger images", "image_size 56, crop 32", replace(dinov2, image=56), convert=False),
        dino("Dinov2 as backbone", "Dinov2Backbone", dinov2, "Dinov2Backbone", convert=False),
        dino("Dinov2 with registers", "3 registers", registers, "Dinov2WithRegistersModel", "Dinov2WithRegisters"),
        dino("Dinov2 with registers, classifier", "2 registers", Vit(registers=2, **labelled),
             "Dinov2WithRegistersForImageClassification", "Dinov2WithRegisters"),
        dino("Dinov2 with registers for larger images", "image_size 56, crop 32", replace(registers, image=56),
             "Dinov2WithRegistersModel", "Dinov2WithRegisters", convert=False),
        vit("ViT for masked images", "ViTForMaskedImageModeling", model="ViTForMaskedImageModeling",
            more={"encoder_stride": 8}),
        vit("ViT, MAE", "ViTMAEModel", model="ViTMAEModel", kind="ViTMAE", more={"mask_ratio": 0.0}),
        vit("ViT, MAE with decoder", "ViTMAEForPreTraining", model="ViTMAEForPreTraining", kind="ViTMAE",
            more=dict(mask_ratio=0.0, decoder_hidden_size=32, decoder_num_attention_heads=2,
                      decoder_num_hidden_layers=1, decoder_intermediate_size=40)),
        vit("ViT, MSN", "ViTMSNModel", model="ViTMSNModel", kind="ViTMSN"),
        vit("ViT, MSN classifier", "ViTMSNForImageClassification", plain, "ViTMSNForImageClassification", kind="ViTMSN"),
        vit("ViT, gelu_python", "gelu_python", replace(bare, act="gelu_python"), convert=False),
        vit("ViT, gelu_accurate", "gelu_accurate", replace(bare, act="gelu_accurate"), convert=False),
        vit("ViT, clipped GELU", "gelu_10", replace(bare, act="gelu_10"), refused="hidden_act", convert=False),
        vit("ViT, SiLU", "hidden_act silu", replace(bare, act="silu"), refused="hidden_act", convert=False),
        vit("ViT, f64", "f64", plain, "ViTForImageClassification", dtype=torch.float64),
        vit("ViT, bf16 classifier", "bf16", plain, "ViTForImageClassification", dtype=torch.bfloat16),
        vit("ViT, dropout", "hidden 0.5, attention 0.3, no effect", plain, "ViTForImageClassification",
            more=dict(hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.3)),
        vit("ViT, one patch", "image 32, patch 32, 1 block", replace(plain, patch=32, depth=1),
            "ViTForImageClassification"),
        vit("ViT, one label", "problem_type single_label_classification", plain, "ViTForImageClassification",
            more={"problem_type": "single_label_classification"}),
        vit("ViT, many labels", "problem_type multi_label_classification", plain, "ViTForImageClassification",
            more={"problem_type": "multi_label_classification"}, refused="problem_type", convert=False),
        vit("ViT, one output", "id2label with one name", replace(bare, classes=("ant",)), "ViTForImageClassification",
            refused="one output", convert=False),
        vit("ViT, quantised", "quantization_config", refused="quantization_config", convert=False,
            edit=changed("config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})),
        vit("ViT, cropped by its processor", "ViTImageProcessor, 40, crop 32",
            processor=("ViT", dict(CROP_SQUARE, size={"height": 40, "width": 40}))),
        vit("ViT, not rescaled", "do_rescale false", processor=("ViT", dict(SQUARE, do_rescale=False)),
            refused="do_rescale", convert=False),
        vit("ViT, processor nearest", "resample 0", processor=("ViT", dict(SQUARE, resample=0)), convert=False),
        vit("ViT, processor Hamming", "resample 5", processor=("ViT", dict(SQUARE, resample=5)), convert=False),
        dino("Dinov2, no biases", "qkv_bias false, layerscale_value 0.1", replace(dinov2, qkv_bias=False),
             more={"layerscale_value": 0.1}),
        dino("Dinov2 with registers, SwiGLU", "4 registers", replace(dinov2, swiglu=True, hidden=128, registers=4),
             "Dinov2WithRegistersModel", "Dinov2WithRegisters"),
        dino("Dinov2 without a crop", "shorter side alone", dinov2, convert=False, refused="do_center_crop",
             edit=changed("preprocessor_config.json", do_center_crop=False)),
        vit("ViT, CLIP's processor", "its class, size and crop_size alone", convert=False,
            processor={"image_processor_type": "CLIPImageProcessor", **SHORT}),
        vit("ViT, processor with a spare crop_size", "no do_center_crop", convert=False,
            processor={"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "crop_size": 24}),
        dino("Dinov2, Bit's processor", "its class, size and crop_size alone", dinov2, convert=False,
             processor={"image_processor_type": "BitImageProcessor", **SHORT}),
        dino("Dinov2, processor without a class", "size and crop_size alone", dinov2, convert=False, processor=SHORT),
        case("DeiT, processor without a class", "size and crop_size alone", replace(bare, distilled=True), "DeiTModel",
             kind="DeiT", convert=False, processor={"size": 36, "crop_size": 32}),
        vit("I-JEPA", "another architecture", model="IJepaModel", kind="IJepa", refused="model_type", convert=False),
        case("BEiT", "another architecture", bare, "BeitModel", kind="Beit", processor=("Beit", SQUARE),
             refused="model_type", convert=False),
    ]


CROP_SQUARE = dict(size={"height": 36, "width": 36}, crop_size={"height": 32, "width": 32}, do_center_crop=True,
                   image_mean=[0.4, 0.45, 0.5], image_std=[0.2, 0.25, 0.3], resample=3)


# ---- CLIP -----------------------------------------------------------------------------------------------------------

VISION = dict(hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, image_size=32,
              patch_size=8)
CLIP_CROP = dict(CROP, size={"shortest_edge": 32})
TEXT = dict(hidden_size=32, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=16)


def clip_case(name: str, settings: str, context, *, vision=None, text=None, more=None, processor=CLIP_CROP, save_as="parts",
              dtype=torch.float32, shards=None, edit=None, refused="", back=True) -> Case:
    """save_as: "parts" writes tokenizer and image processor by themselves, "processor" by CLIPProcessor, "files"
    writes vocab.json and merges.txt in place of tokenizer.json."""

    def save(folder: Path) -> Theirs:
        import transformers

        tokenizer = transformers.CLIPTokenizer.from_pretrained(context.vocabulary)
        words = len(tokenizer)
        ids = dict(vocab_size=words, bos_token_id=words - 2, eos_token_id=words - 1, pad_token_id=words - 1)
        config = transformers.CLIPConfig(vision_config={**VISION, **(vision or {})},
                                         text_config={**TEXT, **ids, **(text or {})},
                                         **{"projection_dim": 24, **(more or {})})
        model = stir(transformers.CLIPModel(config))
        model.to(dtype).save_pretrained(folder, **({"max_shard_size": shards} if shards else {}))
        image_processor = transformers.CLIPImageProcessor(**processor)
        if save_as == "processor":
            transformers.CLIPProcessor(image_processor, tokenizer).save_pretrained(folder)
        else:
            image_processor.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        if save_as == "files":
            (folder / "tokenizer.json").unlink(missing_ok=True)
            for file in ("vocab.json", "merges.txt"):
                (folder / file).write_bytes((context.vocabulary / file).read_bytes())
        if edit:
            edit(folder)
        return clip_numbers(model.float(), tokenizer, hf_pixels(hf_processor(folder), context.images))

    return Case(name, settings, ("transformers",), save, refused, back=context.clip_backs() if back else {})


def with_older_sections(folder: Path) -> None:
    """As transformers 4 wrote CLIP's configuration: the towers twice, and the first time with defaults."""
    config = json.loads((folder / "config.json").read_text())
    for tower in ("text_config", "vision_config"):
        config[tower + "_dict"] = config[tower]
        config[tower] = {**config[tower], "hidden_act": "gelu", "layer_norm_eps": 0.5}
    (folder / "config.json").write_text(json.dumps(config))


def clip_loader(context):
    """What loads vitrail's conversion of a CLIP to a folder for transformers."""

    def load(folder: Path, pixels) -> Theirs:
        need("transformers")
        import transformers

        model, processor = load_hf(folder)
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
        return clip_numbers(model, tokenizer, hf_pixels(processor, context.images))

    return load


def clip_numbers(model, tokenizer, pixels) -> Theirs:
    length = model.config.text_config.max_position_embeddings
    tokens = tokenizer(TEXTS, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    with torch.no_grad():
        images = model.visual_projection(model.vision_model(torch.as_tensor(pixels)).pooler_output)
        out = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"],
                    pixel_values=torch.as_tensor(pixels))
    return Theirs(numbers(images), text_probabilities=numbers(out.logits_per_image.softmax(-1)), pixels=pixels)


def clip_tower_case(name: str, settings: str, context, model_class: str, refused="") -> Case:
    def save(folder: Path) -> Theirs:
        import transformers

        config = transformers.CLIPVisionConfig(**VISION, projection_dim=24, layer_norm_eps=1e-2)
        model = stir(getattr(transformers, model_class)(config))
        model.save_pretrained(folder)
        transformers.CLIPImageProcessor(**CROP).save_pretrained(folder)
        pixels = hf_pixels(hf_processor(folder), context.images)
        with torch.no_grad():
            out = model(torch.as_tensor(pixels))
        projected = getattr(out, "image_embeds", None)
        return Theirs(numbers(out.pooler_output if projected is None else projected), pixels=pixels)

    return Case(name, settings, ("transformers",), save, refused, back={"hf": hf_loader(Vit(), context.images)})


def clip_cases(context) -> list[Case]:
    def clip(*arguments, **options):
        return clip_case(*arguments, context, **options)

    return [
        clip("CLIP", "QuickGELU, vocab.json and merges.txt", save_as="files"),
        clip("CLIP, tokenizer.json alone", "GELU", vision={"hidden_act": "gelu"}, text={"hidden_act": "gelu"}),
        clip("CLIP, processor_config.json", "saved by CLIPProcessor", save_as="processor"),
        clip("CLIP, towers that differ", "activations gelu and quick_gelu, eps 1e-2 and 3e-2",
             vision={"hidden_act": "gelu", "layer_norm_eps": 1e-2}, text={"layer_norm_eps": 3e-2}, save_as="files"),
        clip("CLIP, old end of text", "eos_token_id 2", text={"eos_token_id": 2}, save_as="files"),
        clip("CLIP, another end of text", "eos_token_id 300", text={"eos_token_id": 300}, save_as="files",
             refused="eos_token_id"),
        clip("CLIP, short context", "7 tokens, logit_scale_init_value 3.5", text={"max_position_embeddings": 7},
             more={"logit_scale_init_value": 3.5}, save_as="files"),
        clip("CLIP, f16 in shards", "f16, max_shard_size 50KB, patch 16", vision={"patch_size": 16},
             dtype=torch.float16, shards="50KB", save_as="files"),
        clip("CLIP, squares", "processor without a crop, bilinear", save_as="files",
             processor=dict(size={"height": 32, "width": 32}, do_center_crop=False, resample=2)),
        clip("CLIP, larger before the crop", "shorter side 36, crop 32", save_as="files", processor=CROP),
        clip("CLIP, projection of a tower", "vision projection_dim 40, common 24", vision={"projection_dim": 40},
             text={"projection_dim": 12}, save_as="files"),
        clip("CLIP, bf16", "bf16, saved by CLIPProcessor", dtype=torch.bfloat16, save_as="processor"),
        clip("CLIP, not resized", "do_resize false, crop 32", processor=dict(CLIP_CROP, do_resize=False)),
        clip("CLIP, crop larger than the image", "shorter side 28, crop 32: a black border",
             processor=dict(CLIP_CROP, size={"shortest_edge": 28})),
        clip("CLIP, older sections", "text_config_dict, vision_config_dict", edit=with_older_sections),
        clip("CLIP, Chinese", "model_type chinese_clip", edit=changed("config.json", model_type="chinese_clip"),
             refused="model_type"),
        clip_tower_case("CLIP's image tower", "CLIPVisionModel", context, "CLIPVisionModel"),
        clip_tower_case("CLIP's image tower, projected", "CLIPVisionModelWithProjection", context,
                        "CLIPVisionModelWithProjection"),
        clip_classifier_case(context),
        siglip_case(context),
    ]


def clip_classifier_case(context) -> Case:
    def save(folder: Path) -> Theirs:
        import transformers

        config = transformers.CLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=24,
                                         id2label=dict(enumerate(NAMES)))
        model = stir(transformers.CLIPForImageClassification(config))
        model.save_pretrained(folder)
        transformers.CLIPImageProcessor(**CROP).save_pretrained(folder)
        pixels = hf_pixels(hf_processor(folder), context.images)
        with torch.no_grad():
            tokens = model.vision_model(torch.as_tensor(pixels)).last_hidden_state
            logits = model(torch.as_tensor(pixels)).logits
        return Theirs(numbers(tokens[:, 1:].mean(1)), numbers(logits), list(NAMES), pixels=pixels)

    return Case("CLIP as classifier", "CLIPForImageClassification", ("transformers",), save, "classifier")


def siglip_case(context) -> Case:
    def save(folder: Path) -> Theirs:
        import transformers

        config = transformers.SiglipConfig(vision_config=VISION, text_config=dict(TEXT, vocab_size=100))
        model = stir(transformers.SiglipModel(config))
        model.save_pretrained(folder)
        transformers.SiglipImageProcessor(**SQUARE).save_pretrained(folder)
        pixels = hf_pixels(hf_processor(folder), context.images)
        with torch.no_grad():
            return Theirs(numbers(model.vision_model(torch.as_tensor(pixels)).pooler_output), pixels=pixels)

    return Case("SigLIP", "another architecture", ("transformers",), save, "model_type")


# ---- timm's models as transformers saves them -----------------------------------------------------------------------


def wrapper_cases(context) -> list[Case]:
    def case(name: str, settings: str, architecture: str, model_class: str, arguments: dict, refused="") -> Case:
        def save(folder: Path) -> Theirs:
            import transformers

            import timm_models

            labels = dict(id2label=dict(enumerate(NAMES)), label2id={n: i for i, n in enumerate(NAMES)})
            config = transformers.TimmWrapperConfig(architecture=architecture, model_args=arguments, do_pooling=True,
                                                    **(labels if "Classification" in model_class else {}))
            pretrained = dict(input_size=[3, 32, 32], crop_pct=0.9, interpolation="bicubic", mean=[0.4] * 3,
                              std=[0.3] * 3, architecture=architecture)
            config.pretrained_cfg = pretrained
            model = stir(getattr(transformers, model_class)(config))
            model.save_pretrained(folder)
            pixels = timm_models.pixels_of(pretrained, context.images)
            return timm_models.timm_numbers(model.timm_model, pixels,
                                            NAMES if "Classification" in model_class else ())

        labelled = NAMES if "Classification" in model_class else ()
        back = backs(Vit(classes=labelled, hidden=192)) if architecture.startswith("vit_tiny") else {}
        return Case(name, settings, ("transformers", "timm"), save, refused, back=back)

    small = dict(img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=4)
    return [
        case("timm's ViT in transformers", "timm_wrapper, classifier", "vit_tiny_patch16_224",
             "TimmWrapperForImageClassification", small),
        case("timm's CLIP tower in transformers", "timm_wrapper, QuickGELU by name",
             "vit_base_patch32_clip_quickgelu_224", "TimmWrapperModel", small),
    ]


def cases(context) -> list[Case]:
    return image_cases(context.images) + clip_cases(context) + wrapper_cases(context)
