"""Models of transformers that see: LLaVA with the image towers of CLIP and SigLIP, Idefics3, SmolVLM."""

import json
from pathlib import Path

import numpy as np
import torch

from harness import Case, Missing, NotStrict, Theirs, largest_difference, run_program
from vits import numbers, stir

IMAGE_PLACE, NO_LABEL, END = -200, -100, -1  # of the program peer_logits
VOCABULARY, IMAGE_TOKEN = 99, 90
TOWER = dict(hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, image_size=32, patch_size=8)
DECODER = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
               num_key_value_heads=2, max_position_embeddings=256)


def texts() -> list[tuple[list[int], list[int]]]:
    """Ids and labels: two images, none, one in front."""
    random = np.random.default_rng(3)

    def words(count: int) -> list[int]:
        return random.integers(3, IMAGE_TOKEN, count).tolist()

    def text(question: list[int], answer: list[int]) -> tuple[list[int], list[int]]:
        return question + answer, [NO_LABEL] * len(question) + answer

    return [text([1, *words(4), IMAGE_PLACE, *words(3), IMAGE_PLACE, *words(2)], words(5)),
            text([1, *words(6)], words(2)), text([IMAGE_PLACE, *words(2)], words(3))]


def their_batch(tokens: int) -> dict[str, torch.Tensor]:
    """The texts as transformers has them: each image is `tokens` ids, and padding is on the right."""
    ids, labels = [], []
    for text, label in texts():
        ids.append([i for t in text for i in ([IMAGE_TOKEN] * tokens if t == IMAGE_PLACE else [t])])
        labels.append([i for t, l in zip(text, label) for i in ([NO_LABEL] * tokens if t == IMAGE_PLACE else [l])])
    longest = max(map(len, ids))
    return dict(input_ids=torch.tensor([row + [0] * (longest - len(row)) for row in ids]),
                labels=torch.tensor([row + [NO_LABEL] * (longest - len(row)) for row in labels]),
                attention_mask=torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids]))


def pixels_of(side: int) -> torch.Tensor:
    return torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(5))


def arguments_of(model, pixels: torch.Tensor) -> dict:
    if model.config.model_type == "llava":
        return dict(pixel_values=pixels)
    padded = torch.zeros(3, 2, *pixels.shape[1:])  # [texts, images of the longest, ...]; zeros are no image
    padded[0], padded[2, 0] = pixels[:2], pixels[2]
    return dict(pixel_values=padded)


def their_numbers(model, tokens: int, side: int) -> Theirs:
    batch = their_batch(tokens)
    with torch.no_grad():
        out = model.eval()(**batch, **arguments_of(model, pixels_of(side)))
    mask = batch["attention_mask"].bool()
    return Theirs(token_logits=numbers(out.logits[mask]), loss=numbers(out.loss))


def load_strictly(model_class, folder: Path):
    model, report = model_class.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    wrong = [f"{kind}: {sorted(map(str, names))[:3]}" for kind, names in report.items() if names]
    if wrong:
        raise NotStrict("; ".join(wrong))
    return model


def compared_by(program: Path, tokens: int, side: int = 32):
    """A check of a case: our program computes the same texts. tokens: of an image."""

    def check(vitrail, folder: Path, theirs: Theirs, scratch: Path) -> dict[str, float]:
        from safetensors.torch import load_file, save_file

        rows = texts()
        longest = max(len(ids) for ids, _ in rows)
        padded = [torch.tensor([row[i] + [END] * (longest - len(row[i])) for row in rows]) for i in (0, 1)]
        save_file(dict(ids=padded[0], labels=padded[1], pixels=pixels_of(side)), scratch / "input.safetensors")
        run_program(program, folder, scratch / "input.safetensors", scratch / "output.safetensors")
        ours = load_file(scratch / "output.safetensors")
        mask = their_batch(tokens)["attention_mask"].bool()
        return {"token logits": largest_difference(numbers(ours["logits"][mask]), theirs.token_logits),
                "loss": largest_difference(numbers(ours["loss"]), theirs.loss)}

    return check


def llava_case(name: str, settings: str, model_class: str, config, program: Path, *, tokens: int, side: int = 32, dtype=torch.float32,
               shards=None, processor=None, edit=None, refused="") -> Case:
    """config: a function that makes the configuration. program: ours that computes logits. tokens: of an image. processor: preprocessor_config.json.
    edit(folder) changes the files that were saved."""

    def their_class():
        import transformers

        return getattr(transformers, model_class)

    def save(folder: Path) -> Theirs:
        if not program.exists():
            raise Missing(f"the program {program.name}")
        model = stir(their_class()(config()))
        model.to(dtype).save_pretrained(folder, **({"max_shard_size": shards} if shards else {}))
        model = load_strictly(their_class(), folder)  # .to() rounds the frequencies of rotary positions too
        if processor:
            (folder / "preprocessor_config.json").write_text(json.dumps(processor))
        if edit:
            edit(folder)
        return their_numbers(model, tokens, side)

    def load(folder: Path, pixels) -> Theirs:
        """Loads vitrail's folder."""
        return their_numbers(load_strictly(their_class(), folder), tokens, side)

    return Case(name, settings, ("transformers", "safetensors"), save, refused, back={"hf": load},
                check=compared_by(program, tokens, side))


def renamed(rules: dict[str, str]):
    """An edit that changes the beginnings of the weights' names."""

    def edit(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        file = folder / "model.safetensors"
        weights = {}
        for name, value in load_file(file).items():
            old = next((old for old in rules if name.startswith(old)), "")
            weights[rules.get(old, "") + name[len(old):]] = value
        save_file(weights, file, metadata={"format": "pt"})

    return edit


def sections(**changes):
    """An edit that changes the sections of config.json; None removes a key."""

    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        for section, values in changes.items():
            inside = {**config[section], **values}
            config[section] = {key: value for key, value in inside.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(config))

    return edit


OLDER = {"language_model.model.": "language_model.model.", "vision_tower.": "vision_tower.vision_model."}
IN_MEMORY = {"language_model.model.": "model.language_model.", "language_model.lm_head.": "lm_head.",
             "vision_tower.": "model.vision_tower.vision_model.", "multi_modal_projector.": "model.multi_modal_projector."}
TRIPLE = {"language_model.model.": "language_model.language_model.language_model."}
WITHOUT_HEAD_PREFIX = {"language_model.model.": "model.language_model.model.", "language_model.lm_head.": "model.lm_head."}


def cases(context) -> list[Case]:
    try:
        import transformers as t
    except ImportError:
        return [Case("LLaVA", "all", ("transformers",), lambda folder: None)]  # it will be reported as not run

    program = context.vitrail.program.parent / "peer_logits"

    def llava(tower, decoder, **more):
        return lambda: t.LlavaConfig(vision_config=tower, text_config=decoder, image_token_index=IMAGE_TOKEN, **more)

    clip, llama = t.CLIPVisionConfig(**TOWER), t.LlamaConfig(**DECODER)
    qwen2 = t.Qwen2Config(**DECODER, rope_parameters={"rope_theta": 1e6, "rope_type": "default"}, tie_word_embeddings=True)

    def siglip(**more):
        return t.SiglipVisionConfig(**{**TOWER, "vision_use_head": False, **more})

    def llava_clip(name, settings, *, tokens=16, decoder=llama, **options):
        more = options.pop("more", {})
        return llava_case(name, settings, "LlavaForConditionalGeneration", llava(clip, decoder, **more), program,
                          tokens=tokens, **options)

    def interleave(name, settings, tower, *, tokens=16, **options):
        more = dict(vision_feature_layer=-1, vision_feature_select_strategy="full", **options.pop("more", {}))
        return llava_case(name, settings, "LlavaForConditionalGeneration", llava(tower, qwen2, **more), program,
                          tokens=tokens, **options)

    def tiles(name, settings, kind, *, tokens=4, **options):
        more = {"scale_factor": 2, **options.pop("more", {})}
        config = lambda: getattr(t, kind + "Config")(vision_config=dict(TOWER), text_config=llama,
                                                     image_token_id=IMAGE_TOKEN, **more)
        return llava_case(name, settings, kind + "ForConditionalGeneration", config, program, tokens=tokens, **options)

    return [
        llava_clip("LLaVA, CLIP and Llama", "layer -2, default"),
        llava_clip("LLaVA, class token", "layer -1, full", more=dict(vision_feature_layer=-1,
                   vision_feature_select_strategy="full"), tokens=17),
        llava_clip("LLaVA, two layers", "vision_feature_layer [-2, 1], no biases",
                   more=dict(vision_feature_layer=[-2, 1], multimodal_projector_bias=False)),
        llava_clip("LLaVA, Mistral", "grouped heads, no window, projector_hidden_act gelu_pytorch_tanh",
                   decoder=t.MistralConfig(**DECODER, sliding_window=None),
                   more=dict(projector_hidden_act="gelu_pytorch_tanh")),
        llava_clip("LLaVA, names of the hub", "vision_tower.vision_model", edit=renamed(OLDER)),
        llava_clip("LLaVA, names in memory", "model.language_model, lm_head", edit=renamed(IN_MEMORY)),
        llava_clip("LLaVA, wrong names", "language_model three times", edit=renamed(TRIPLE)),
        llava_clip("LLaVA, model before all", "model.language_model.model, model.lm_head", edit=renamed(WITHOUT_HEAD_PREFIX)),
        llava_clip("LLaVA, short sections", "keys with default values left out",
                   edit=sections(text_config=dict(rms_norm_eps=None, hidden_act=None, head_dim=None, model_type=None,
                                                  tie_word_embeddings=None, rope_parameters=None),
                                 vision_config=dict(hidden_act=None, layer_norm_eps=None, num_channels=None,
                                                    model_type=None))),
        llava_clip("LLaVA, bf16 in shards", "bf16, max_shard_size 50KB", dtype=torch.bfloat16, shards="50KB"),
        llava_clip("LLaVA, f16", "f16", dtype=torch.float16),
        llava_clip("LLaVA, tokens that do not fit", "processor_config.json without the class token", refused="num_additional_image_tokens",
                   edit=lambda folder: (folder / "processor_config.json").write_text(json.dumps(
                       dict(patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=0)))),
        llava_clip("LLaVA, another projector", "projector_hidden_act relu", more=dict(projector_hidden_act="relu"),
                   refused="projector_hidden_act"),
        interleave("llava-interleave", "SigLIP without head, Qwen2, tied", siglip()),
        interleave("llava-interleave, margin", "images of 38, patches of 8", siglip(image_size=38), side=38),
        interleave("llava-interleave, SigLIP's head", "vision_use_head true", siglip(vision_use_head=True)),
        interleave("llava-interleave, bf16", "bf16", siglip(), dtype=torch.bfloat16),
        tiles("Idefics3", "scale_factor 2", "Idefics3"),
        tiles("Idefics3, tied", "tie_word_embeddings, scale_factor 4", "Idefics3", tokens=1,
              more=dict(scale_factor=4, tie_word_embeddings=True)),
        tiles("SmolVLM", "scale_factor 2", "SmolVLM"),
    ]
