"""Adapters of Hugging Face PEFT: vitrail reads random ones, and PEFT loads those of our own runs with LoRA."""

import json
import string
import subprocess
from dataclasses import replace
from pathlib import Path

import torch

import language_models
import llava_models
from harness import Case, Missing, NotStrict, Theirs
from hugging_face import CROP, NAMES, SQUARE, config_of
from vits import Vit, backs, hf_numbers, hf_pixels, hf_processor, numbers, read_weights, stir, timm_numbers, timm_vit

RECIPES = Path(__file__).parents[2] / "recipes"
TOLERANCE = 1e-5
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
DIGITS = tuple("0123456789")
# One epoch at a high rate: far from the zeros that adapters begin with.
SHORT = {"train.epochs": 1, "schedule.warmup_epochs": 0, "optim.lr": 0.02, "data.img_size": 32, "data.eval_crop": 1,
         "data.subset": 0.3}


def stir_adapters(model: torch.nn.Module) -> torch.nn.Module:
    """Random adapters, classifiers and biases: whatever PEFT would train. Changes of the size of the base, not a
    multiple of it: beyond that f32 itself is off by 1e-5."""
    random = torch.Generator().manual_seed(2)
    for _, parameter in model.named_parameters():
        if parameter.requires_grad:
            fan = parameter[0].numel() if parameter.ndim > 1 else 4
            parameter.data += torch.randn(parameter.shape, generator=random) / (2 * fan**0.5)
    return model.eval()


def read_case(name: str, settings: str, v: Vit, model_class: str, lora: dict, context, *, kind="ViT",
              processor=("ViT", SQUARE), refused="") -> Case:
    """PEFT saves an adapter, and vitrail opens its folder."""

    def save(folder: Path) -> Theirs:
        import peft
        import transformers

        base = folder.parent / "base"
        model = stir(getattr(transformers, model_class)(config_of(v, kind, {})))
        model.save_pretrained(base)
        processor_class, processor_settings = processor
        getattr(transformers, processor_class + "ImageProcessor")(**processor_settings).save_pretrained(base)
        model = getattr(transformers, model_class).from_pretrained(base).eval()  # so PEFT knows the base's folder
        torch.manual_seed(3)  # of PEFT's own start
        adapted = stir_adapters(peft.get_peft_model(model, peft.LoraConfig(**lora)))
        adapted.save_pretrained(folder)
        return hf_numbers(adapted.base_model.model, hf_pixels(hf_processor(base), context.images), v)

    return Case(name, settings, ("peft", "transformers"), save, refused, back=backs(v, context.images),
                tolerance=TOLERANCE)


def decoder_case(name: str, settings: str, kind: str, lora: dict, refused="") -> Case:
    """PEFT saves the adapter of a decoder; vitrail generates with it, and merges it."""

    def save(folder: Path) -> Theirs:
        import peft
        import transformers

        base = folder.parent / "base"
        model_class = getattr(transformers, kind + "ForCausalLM")
        stir(model_class(getattr(transformers, kind + "Config")(**language_models.SMALL))).save_pretrained(base)
        torch.manual_seed(3)
        adapted = stir_adapters(peft.get_peft_model(model_class.from_pretrained(base).eval(), peft.LoraConfig(**lora)))
        adapted.save_pretrained(folder)
        return language_models.token_logits(adapted.base_model.model)

    return Case(name, settings, ("peft", "transformers"), save, refused, back={"hf": language_models.load})


def llava_base(base: Path, tower: str, decoder: str, **more):
    """A random LLaVA in a folder, with a tokenizer of characters."""
    import transformers as t

    head = {"vision_use_head": False} if tower == "Siglip" else {}
    config = t.LlavaConfig(vision_config=getattr(t, tower + "VisionConfig")(**llava_models.TOWER, **head),
                           text_config=getattr(t, decoder + "Config")(**llava_models.DECODER),
                           image_token_index=llava_models.IMAGE_TOKEN, **more)
    stir(t.LlavaForConditionalGeneration(config)).save_pretrained(base)
    (base / "tokenizer.json").write_text(json.dumps(characters()))
    (base / "tokenizer_config.json").write_text(json.dumps(dict(tokenizer_class="PreTrainedTokenizerFast",
                                                                bos_token="<s>", eos_token="</s>")))
    return load_llava(base, None)


def load_llava(folder: Path, pixels):
    import transformers

    return llava_models.load_strictly(transformers.LlavaForConditionalGeneration, folder).eval()


def characters() -> dict:
    """A tokenizer.json."""
    words = ["<s>", "</s>", "\u0120", "\u010a", *string.ascii_letters, *string.digits, *"?.,:;!'-"]
    words += [f"<{i}>" for i in range(len(words), llava_models.IMAGE_TOKEN)]
    special = {"<s>": 0, "</s>": 1, "<image>": llava_models.IMAGE_TOKEN}
    common = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    return {"added_tokens": [dict(id=id, content=word, **common) for word, id in special.items()],
            "pre_tokenizer": BYTES, "decoder": BYTES,
            "model": {"type": "BPE", "vocab": {word: i for i, word in enumerate(words)}, "merges": []}}


def seeing_case(name: str, settings: str, lora: dict, context, *, tower="CLIP", decoder="Llama", **more) -> Case:
    """PEFT saves the adapter of a LLaVA."""
    tokens = 16

    def save(folder: Path) -> Theirs:
        import peft

        program(context)
        model = llava_base(folder.parent / "base", tower, decoder, **more)
        torch.manual_seed(3)
        adapted = stir_adapters(peft.get_peft_model(model, peft.LoraConfig(**lora)))
        adapted.save_pretrained(folder)
        return llava_models.their_numbers(adapted.base_model.model, tokens, 32)

    def load(folder: Path, pixels) -> Theirs:
        return llava_models.their_numbers(load_llava(folder, pixels), tokens, 32)

    return Case(name, settings, ("peft", "transformers"), save, back={"hf": load},
                check=llava_models.compared_by(context.vitrail.program.parent / "peer_logits", tokens))


def program(context) -> Path:
    path = context.vitrail.program.parent / "peer_logits"
    if not path.exists():
        raise Missing(f"the program {path.name}")
    return path


def seeing_run_case(name: str, settings: str, changes: dict, context, *, tower="CLIP", decoder="Llama", **more) -> Case:
    """A run of llava with LoRA. PEFT loads its adapter on the base; transformers loads the run with the adapter merged."""
    tokens = 16

    def save(folder: Path) -> Theirs:
        program(context)
        base = folder / "base"
        model = llava_base(base, tower, decoder, **more)
        before = llava_models.their_numbers(model, tokens, 32)
        keys = {"init": "base", "data.source": "shapes", "data.root": "''", "data.shapes.train": 64,
                "data.shapes.val": 16, "data.template": "llava_hf", "precision": "f32", "train.epochs": 1,
                "train.batch_size": 32, "schedule.warmup_epochs": 0, "optim.lr": 0.02, "eval.answers": "false",
                "lora.rank": 3, "lora.alpha": 6, **changes}
        done = subprocess.run([str(context.vitrail.program.parent / "train"), str(RECIPES / "llava_instruct.yaml"),
                               "out=run", *(f"{key}={value}" for key, value in keys.items())], cwd=folder,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"train: {done.stderr.strip()[-500:]}")
        context.vitrail.run("convert", folder / "run", "--adapter", "-o", folder / "adapter")
        context.vitrail.run("convert", folder / "run", "-o", folder / "merged")
        adapted = loaded_by_peft(load_llava(base, None), folder / "adapter")
        theirs = llava_models.their_numbers(adapted.base_model.model, tokens, 32)
        if abs(theirs.token_logits - before.token_logits).max() < 0.1:
            raise RuntimeError("the adapter changes nothing")
        return theirs

    def load(folder: Path, pixels) -> Theirs:
        return llava_models.their_numbers(load_llava(folder, pixels), tokens, 32)

    return Case(name, settings, ("peft", "transformers"), save, file="merged", back={"hf": load},
                check=llava_models.compared_by(context.vitrail.program.parent / "peer_logits", tokens))


def loaded_by_peft(model: torch.nn.Module, adapter: Path):
    """The model with the adapter. Throws NotStrict unless PEFT holds all of the file and nothing else."""
    import peft

    adapted = peft.PeftModel.from_pretrained(model, adapter).eval()
    held, file = peft.get_peft_model_state_dict(adapted), read_weights(adapter / "adapter_model.safetensors")
    if set(held) != set(file):
        raise NotStrict(f"PEFT holds {sorted(set(held) ^ set(file))[:4]}")
    wrong = [key for key in file if not torch.equal(held[key], file[key])]
    if wrong:
        raise NotStrict(f"PEFT has other values in {wrong[:4]}")
    return adapted


def write_case(name: str, settings: str, v: Vit, layout: str, changes: dict, context) -> Case:
    """A run with LoRA on a base of another library. Its numbers are those of PEFT, which loads the run's adapter."""

    def save(folder: Path) -> Theirs:
        import transformers
        from safetensors.torch import save_file

        if layout == "timm":
            model, base = stir(timm_vit(v)), folder / "base.safetensors"
            save_file(model.state_dict(), base)
            heads = {"model.num_heads": v.heads, "model.embed_dim": v.dim, "model.depth": v.depth,
                     "model.patch_size": v.patch, "model.mlp_ratio": v.hidden / v.dim, "model.global_pool": "token"}
        else:
            base, heads = folder / "base", {"model": "from_init"}
            stir(transformers.ViTForImageClassification(config_of(v, "ViT", {}))).save_pretrained(base)
            transformers.ViTImageProcessor(**SQUARE).save_pretrained(base)
            model = transformers.ViTForImageClassification.from_pretrained(base).eval()
        keys = {**heads, **SHORT, "init": base.name, **changes}
        train = context.vitrail.program.parent / "train"
        done = subprocess.run([str(train), str(RECIPES / "vit_digits.yaml"), "out=run",
                               *(f"{key}={value}" for key, value in keys.items())], cwd=folder, capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise RuntimeError(f"train: {done.stderr.strip()[-500:]}")
        context.vitrail.run("convert", folder / "run", "--adapter", "--layout", layout, "-o", folder / "adapter")
        context.vitrail.run("convert", folder / "run", "-o", folder / "hf")
        pixels = hf_pixels(hf_processor(folder / "hf"), context.images)
        before = numbers(logits_of(model, pixels))
        adapted = loaded_by_peft(model, folder / "adapter")
        inner = adapted.base_model.model
        theirs = timm_numbers(inner, pixels, v.classes) if layout == "timm" else hf_numbers(inner, pixels, v)
        if abs(theirs.logits - before).max() < 0.1:
            raise RuntimeError("the adapter changes nothing")
        return theirs

    return Case(name, settings, ("peft", "transformers", "timm"), save, file="run", tolerance=TOLERANCE)


def logits_of(model: torch.nn.Module, pixels):
    with torch.no_grad():
        out = model(torch.as_tensor(pixels))
    return getattr(out, "logits", out)


def cases(context) -> list[Case]:
    vit = Vit(eps=1e-2, classes=NAMES)
    digits = Vit(dim=48, depth=2, heads=4, classes=DIGITS)
    both = dict(layer_scale=True, both=True, classes=NAMES, eps=1e-2)
    qv = dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    whole = dict(r=3, lora_alpha=5, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"])

    def read(name, settings, v, model_class, lora, **options):
        return read_case(name, settings, v, model_class, lora, context, **options)

    classifier = "ViTForImageClassification"
    return [
        read("PEFT, ViT", "queries and values, classifier saved", vit, classifier,
             dict(qv, modules_to_save=["classifier"])),
        read("PEFT, ViT, all linear layers", "rsLoRA, bias all", vit, classifier,
             dict(whole, use_rslora=True, bias="all")),
        read("PEFT, ViT, one layer", "a regular expression, no classifier", Vit(eps=1e-2), "ViTModel",
             dict(qv, target_modules=r".*layers\.1\.attention\.k_proj")),
        read("PEFT, Dinov2", "classifier on token and mean", Vit(**both), "Dinov2ForImageClassification",
             dict(whole, modules_to_save=["classifier"]), kind="Dinov2", processor=("Bit", CROP)),
        read("PEFT, DeiT", "two classifiers", replace(vit, distilled=True), "DeiTForImageClassificationWithTeacher",
             dict(qv, modules_to_save=["cls_classifier", "distillation_classifier"]), kind="DeiT",
             processor=("DeiT", dict(SQUARE, do_center_crop=True, crop_size={"height": 32, "width": 32}))),
        read("PEFT, DoRA", "use_dora", vit, classifier, dict(qv, use_dora=True), refused="use_dora"),
        read("PEFT, alpha_pattern", "other alphas by layer", vit, classifier, dict(qv, alpha_pattern={"q_proj": 3}),
             refused="alpha_pattern"),
        read("PEFT, rank_pattern", "other ranks by layer", vit, classifier, dict(qv, rank_pattern={"q_proj": 3}),
             refused="rank_pattern"),
        read("PEFT, PiSSA", "init_lora_weights pissa", vit, classifier, dict(qv, init_lora_weights="pissa"),
             refused="init_lora_weights"),
        write_case("LoRA run on ViT", "attn.qkv, attn.proj", digits, "hf", {"lora.rank": 4}, context),
        write_case("LoRA run on ViT, all layers", "rsLoRA, norm trained", digits, "hf",
                   {"lora.rank": 3, "lora.targets": "[attn.qkv, attn.proj, mlp.fc1, mlp.fc2]", "lora.use_rslora": "true",
                    "lora.train": "[head, norm]"}, context),
        write_case("LoRA run on ViT, mlp.fc2", "one target whose end others share", digits, "hf",
                   {"lora.rank": 2, "lora.targets": "mlp.fc2"}, context),
        decoder_case("PEFT, Llama", "queries and values", "Llama", dict(qv, task_type="CAUSAL_LM")),
        decoder_case("PEFT, Qwen2", "all linear layers, rsLoRA, norm and output saved", "Qwen2",
                     dict(r=3, lora_alpha=5, use_rslora=True, target_modules="all-linear",
                          modules_to_save=["lm_head", "model.norm"])),
        decoder_case("PEFT, Mistral", "one layer, bias none", "Mistral",
                     dict(qv, target_modules=["down_proj"], layers_to_transform=[1])),
        decoder_case("PEFT, Llama, embeddings", "embed_tokens adapted", "Llama",
                     dict(qv, target_modules=["q_proj", "embed_tokens"]), refused="lora_embedding_A"),
        seeing_case("PEFT, LLaVA", "queries and values of tower and decoder, projector saved",
                    dict(qv, modules_to_save=["multi_modal_projector"]), context),
        seeing_case("PEFT, LLaVA, SigLIP and Qwen2", "all linear layers of the decoder, tower saved",
                    dict(r=3, lora_alpha=5, target_modules=r".*language_model.*_proj", modules_to_save=["vision_tower"]),
                    context, tower="Siglip", decoder="Qwen2", vision_feature_layer=-1,
                    vision_feature_select_strategy="full"),
        seeing_run_case("LoRA run on LLaVA", "all linear layers of the decoder, projector trained", {}, context),
        seeing_run_case("LoRA run on LLaVA, queries", "q_proj, v_proj, whose ends the tower shares, norm trained",
                        {"lora.targets": "[q_proj, v_proj]", "lora.train": "[norm]", "lora.use_rslora": "true"}, context),
        seeing_run_case("LoRA run on LLaVA, all parts", "SigLIP and Qwen2, tower trained",
                        {"train.parts": "[tower, projector, decoder]"}, context, tower="Siglip", decoder="Qwen2",
                        vision_feature_layer=-1, vision_feature_select_strategy="full"),
        write_case("LoRA run on timm's ViT", "attn.qkv, mlp.fc1", digits, "timm",
                   {"lora.rank": 4, "lora.targets": "[attn.qkv, mlp.fc1]"}, context),
    ]
