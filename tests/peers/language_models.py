"""Decoders of transformers: Llama, Qwen2 and Mistral. Compared are the logits of a prompt of random tokens."""

import json
from pathlib import Path

import torch

from harness import TOKENS, Case, Theirs, need
from vits import load_model, numbers, stir

SMALL = dict(vocab_size=97, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=128)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)


def token_logits(model) -> Theirs:
    with torch.no_grad():
        return Theirs(token_logits=numbers(model(input_ids=torch.tensor([TOKENS])).logits[0]))


def load(folder: Path, pixels) -> Theirs:
    """Loads vitrail's folder."""
    need("transformers")
    return token_logits(load_model(folder))


def decoder_case(name: str, settings: str, *, kind="Llama", more=None, dtype=torch.float32, shards=None, edit=None,
                 refused="") -> Case:
    """kind: the beginning of the class names. more: settings of the configuration. edit(folder) changes the files."""

    def save(folder: Path) -> Theirs:
        import transformers

        config = getattr(transformers, kind + "Config")(**{**SMALL, **(more or {})})
        model = stir(getattr(transformers, kind + "ForCausalLM")(config)).to(dtype)
        model.save_pretrained(folder, **({"max_shard_size": shards} if shards else {}))
        if edit:
            edit(folder)
        return token_logits(load_model(folder))  # model.to(bf16) has rounded the frequencies of the rotation too

    return Case(name, settings, ("transformers",), save, refused, back={"hf": load})


def as_version_4(folder: Path) -> None:
    """rope_theta and rope_scaling in place of rope_parameters, and torch_dtype."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    rope = config.pop("rope_parameters")
    config.update(rope_theta=rope.pop("rope_theta"), torch_dtype=config.pop("dtype"))
    if rope["rope_type"] != "default":
        config["rope_scaling"] = rope
    file.write_text(json.dumps(config))


def scaled(**rope) -> dict:
    return {"rope_parameters": {"rope_theta": 10000.0, **rope}}


def cases(context) -> list[Case]:
    return [
        decoder_case("Llama", "groups of 3 heads"),
        decoder_case("Llama, heads of another width", "head_dim 10, eps 1e-2, as many key heads",
                     more=dict(head_dim=10, rms_norm_eps=1e-2, num_key_value_heads=6)),
        decoder_case("Llama, tied", "bf16 in shards of 40KB", more=dict(tie_word_embeddings=True), dtype=torch.bfloat16,
                     shards="40KB"),
        decoder_case("Llama, f16", "f16, one key head", more=dict(num_key_value_heads=1), dtype=torch.float16),
        decoder_case("Llama 3.1", "rope_parameters llama3", more=scaled(**{**LLAMA3, "rope_theta": 500000.0})),
        decoder_case("Llama 3.1, version 4", "rope_theta, rope_scaling llama3", more=scaled(**LLAMA3),
                     edit=as_version_4),
        decoder_case("Llama, linear", "rope scaling linear", more=scaled(rope_type="linear", factor=4.0)),
        decoder_case("Llama, yarn", "rope scaling yarn", refused="yarn",
                     more=scaled(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)),
        decoder_case("Llama, biases", "attention_bias", more=dict(attention_bias=True), refused="attention_bias"),
        decoder_case("Qwen2", "biases of queries, keys and values", kind="Qwen2"),
        decoder_case("Qwen2, tied", "bf16, rope_theta 1e6", kind="Qwen2", dtype=torch.bfloat16,
                     more=dict(tie_word_embeddings=True, **scaled(rope_type="default", rope_theta=1e6))),
        decoder_case("Qwen2, sliding window", "use_sliding_window", kind="Qwen2", refused="sliding_window",
                     more=dict(use_sliding_window=True, sliding_window=8, max_window_layers=1)),
        decoder_case("Mistral", "no sliding window", kind="Mistral", more=dict(sliding_window=None)),
        decoder_case("Mistral, sliding window", "sliding_window 8", kind="Mistral", more=dict(sliding_window=8),
                     refused="sliding_window"),
    ]
