"""Adapters of Hugging Face PEFT: vitrail reads random ones, and PEFT loads those of our own runs with LoRA."""

import subprocess
from dataclasses import replace
from pathlib import Path

import torch

from harness import Case, NotStrict, Theirs
from hugging_face import CROP, NAMES, SQUARE, config_of
from vits import Vit, backs, hf_numbers, hf_pixels, hf_processor, numbers, read_weights, stir, timm_numbers, timm_vit

RECIPES = Path(__file__).parents[2] / "recipes"
TOLERANCE = 1e-5
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
        write_case("LoRA run on timm's ViT", "attn.qkv, mlp.fc1", digits, "timm",
                   {"lora.rank": 4, "lora.targets": "[attn.qkv, mlp.fc1]"}, context),
    ]
