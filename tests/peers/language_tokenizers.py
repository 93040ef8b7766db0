#!/usr/bin/env python3
"""Compares `vitrail tokens` with the libraries tokenizers and sentencepiece on random tokenizer files and texts. See README.md.

Each file is trained on generated text, in one of the forms that language models use. Ids must be equal, and the decoded
texts too."""

import argparse
import base64
import io
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

WORDS = ("the a cat dog red circle blue square photograph of it's we'll I'VE don'T SHE'S naïve café ЖЫЗНЬ привет мир "
         "日本語 中文字 العربية हिन्दी Straße ΣΊΣΥΦΟΣ ǅ ﬁ 한국어 ไทย").split()
OTHERS = [
    (0.30, [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n ", " \t", "\u00a0", "\u3000", "\u2028", "\x0b", "\x0c",
            "\x85", " " * 20]),
    (0.20, list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["...", "'s", "'S", "'ſ", "'ll", "'LL", "▁", "▁▁", "—", "“", "€",
            "<0x41>", "<0x", "</s>x", "<s", "Ġ", "Ċ"]),
    (0.12, ["1", "12", "123", "1234567", "３", "①", "٣", "½", "Ⅷ", "3.14"]),
    (0.10, ["🐶", "👨‍👩‍👧", "❤️", "🇩🇪", "😀", "✌🏽"]),
    (0.08, ["e\u0301", "a\u0308", "q\u0307\u0323", "\u0301", "A\u030a", "\u1100\u1161\u11a8"]),
    (0.05, ["\x00", "\x01", "\x07", "\x1b", "\x7f", "\x80", "\ufffd", "\ufeff", "\u200d", "\u200b", "\U0010ffff"]),
]


def random_part(r: random.Random, tokens: list[str]) -> str:
    if r.random() < 0.35:
        return r.choice(WORDS)
    chance = r.random()
    for share, parts in OTHERS:
        if chance < share:
            return r.choice(parts)
        chance -= share
    if tokens and r.random() < 0.6:
        return r.choice(tokens)
    return chr(r.choice([r.randrange(32, 127), r.randrange(0xA0, 0x500), r.randrange(0x900, 0xD7FF),
                         r.randrange(0x1F300, 0x1FAFF)]))


def random_text(r: random.Random, tokens: list[str], lengths=(0, 1, 2, 3, 5, 8, 13, 40)) -> str:
    parts = [random_part(r, tokens) + (" " if r.random() < 0.4 else "") for _ in range(r.choice(lengths))]
    return "".join(parts)


def corpus(r: random.Random) -> list[str]:
    return [random_text(r, []) + " " + " ".join(r.choices(WORDS, k=8)) for _ in range(300)]


def train(r: random.Random, tokenizer: Tokenizer, sizes: list[int], **options) -> Tokenizer:
    trainer = trainers.BpeTrainer(vocab_size=r.choice(sizes), show_progress=False, **options)
    tokenizer.train_from_iterator(corpus(r), trainer)
    return tokenizer


def over_characters(r: random.Random, form: str, sizes: list[int]) -> Tokenizer:
    """Llama's and Gemma's kind: pieces of characters, bytes for unknown ones."""
    never = form in ("never", "gemma")
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=r.random() < 0.7, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never" if never else "always")
    train(r, tokenizer, sizes, special_tokens=["<unk>", "<s>", "</s>", *BYTES], limit_alphabet=r.choice([60, 150]))
    # The trained file learnt from words. It encodes in its own way. Bytes are no added tokens.
    file = json.loads(tokenizer.to_str())
    file["added_tokens"] = [token for token in file["added_tokens"] if token["content"] not in BYTES]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    if form == "legacy":
        file["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace]}
        file["pre_tokenizer"] = None
    elif form == "gemma":
        file["normalizer"] = replace
        file["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                                 "invert": False}
    else:
        file["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": form,
                                 "split": form == "always"}
    tokenizer = Tokenizer.from_str(json.dumps(file))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps if never else [*steps, decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def over_bytes(r: random.Random, form: str, sizes: list[int]) -> Tokenizer:
    """GPT-2's kind: pieces of bytes in words."""
    byte_level, sequence = pre_tokenizers.ByteLevel, pre_tokenizers.Sequence
    tokenizer = Tokenizer(models.BPE(ignore_merges=form == "llama3"))
    if form == "gpt2":
        tokenizer.pre_tokenizer = byte_level(add_prefix_space=r.random() < 0.5)
    elif form == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=r.random() < 0.7)
        tokenizer.pre_tokenizer = sequence([digits, byte_level(add_prefix_space=False)])
    else:
        words = pre_tokenizers.Split(Regex(LLAMA3 if form == "llama3" else QWEN2), "isolated")
        tokenizer.pre_tokenizer = sequence([words, byte_level(add_prefix_space=False, use_regex=False)])
    if form == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = byte_level.alphabet() if r.random() < 0.8 else []  # without it some bytes have no token
    train(r, tokenizer, sizes, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet)
    if form == "llama3":
        template = processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), template])
    return tokenizer


FORMS = [(over_characters, form) for form in ("legacy", "first", "always", "never", "gemma")]
FORMS += [(over_bytes, form) for form in ("gpt2", "qwen2", "llama3", "smollm")]


def add_tokens(r: random.Random, tokenizer: Tokenizer) -> list[str]:
    """Adds tokens of every kind. Returns texts that have them."""
    special = [AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True),
               AddedToken("<|im", special=True), AddedToken("<R>", special=True, rstrip=True)]
    others = [AddedToken("<image>", normalized=False), AddedToken("<L>", normalized=False, lstrip=True),
              AddedToken("<both>", normalized=False, lstrip=True, rstrip=True), AddedToken("\n\n\n", normalized=False),
              AddedToken("word", normalized=False, single_word=True), AddedToken("<norm>", normalized=True),
              AddedToken("e\u0301\u0301", normalized=True)]
    special, others = ([token for token in tokens if r.random() < 0.8] for tokens in (special, others))
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(others)
    return [token.content for token in special + others] + ["word", "sword", "<image><image>", " <L> ", " <R>  ",
                                                            "  <both>  ", "</s>", "<s>", "<unk>"]


def make(seed: int, sizes=(300, 600, 900, 1500)) -> tuple[str, Tokenizer, random.Random, list[str]]:
    r = random.Random(seed)
    build, form = FORMS[seed % len(FORMS)]
    tokenizer = build(r, form, [size for size in sizes if build is over_bytes or size > 300])
    return form, tokenizer, r, add_tokens(r, tokenizer)


def sentencepiece_model(seed: int, size: int) -> bytes:
    """A tokenizer.model: BPE, no normalization, with and without bytes, prefix and the user's own pieces."""
    import sentencepiece

    r = random.Random(seed)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus(r)), model_writer=model, model_type="bpe", vocab_size=size, minloglevel=2, hard_vocab_limit=False,
        normalization_rule_name="identity", character_coverage=0.98, byte_fallback=seed % 3 != 2,
        add_dummy_prefix=seed % 4 != 3, remove_extra_whitespaces=False, split_digits=r.random() < 0.5,
        user_defined_symbols=["<u>", "\n\n", "cat"] if seed % 2 else [], allow_whitespace_only_pieces=r.random() < 0.5)
    return model.getvalue()


def sentencepiece_texts(r: random.Random, count: int) -> list[str]:
    """sentencepiece alone reads special tokens in a text as words, and stops at a zero byte."""
    texts = [random_text(r, ["<u>", " <u> ", "cat", "\n\n"]) for _ in range(count)]
    return [text.replace("</s>", "").replace("<s>", "").replace("\0", "") for text in texts]


def sentencepiece_expected(model: bytes, texts: list[str]) -> list[dict]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    ids = [processor.encode(text) for text in texts]
    return [{"ids": i, "text": processor.decode([id for id in i if not processor.is_unknown(id)])} for i in ids]


def as_file(tokenizer: Tokenizer, merges_as_texts: bool) -> dict:
    file = json.loads(tokenizer.to_str())
    if merges_as_texts:  # as the library wrote them before version 0.20
        file["model"]["merges"] = [" ".join(pair) for pair in file["model"]["merges"]]
    return file


def expected(tokenizer: Tokenizer, texts: list[str]) -> list[dict]:
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    return [{"ids": i, "text": tokenizer.decode(i, skip_special_tokens=True)} for i in ids]


def found(vitrail: Path, file: Path, texts: list[str]) -> list[dict]:
    file.with_name("texts.json").write_text(json.dumps(texts))
    command = [vitrail, "tokens", file, "--texts-file", file.with_name("texts.json"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)["texts"]


def report(name: str, texts: list[str], ours: list[dict], theirs: list[dict]) -> bool:
    """Prints a line, and two texts that differ. Returns whether all are equal."""
    pairs = list(zip(texts, ours, theirs, strict=True))
    ids = [p for p in pairs if p[1]["ids"] != p[2]["ids"]]
    decoded = [p for p in pairs if p[1]["decoded"] != p[2]["text"]]
    for text, our, their in (ids + decoded)[:2]:
        print(f"  {text!r}\n    ours   {our}\n    theirs {their}")
    print(f"{name}: ids of {len(pairs) - len(ids)} and texts of {len(pairs) - len(decoded)} of {len(pairs)} are equal",
          flush=True)
    return not ids and not decoded


def compare(vitrail: Path, count: int, strings: int) -> int:
    good = []
    for seed in range(count):
        form, tokenizer, r, tokens = make(seed)
        texts = [random_text(r, tokens) for _ in range(strings)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tokenizer.json"
            path.write_text(json.dumps(as_file(tokenizer, seed % 3 == 0)))
            theirs = expected(Tokenizer.from_file(str(path)), texts)
            ours = found(vitrail, path, texts)
        good.append(report(f"{seed} {form}, {tokenizer.get_vocab_size()} tokens", texts, ours, theirs))
    try:
        import sentencepiece
        print(f"sentencepiece {sentencepiece.__version__}")
        seeds = range(count // 3)
    except ImportError:
        print("not run: sentencepiece is missing")
        seeds = range(0)
    for seed in seeds:
        model, texts = sentencepiece_model(seed, 900), sentencepiece_texts(random.Random(seed), strings)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tokenizer.model"
            path.write_bytes(model)
            ours = found(vitrail, path, texts)
        good.append(report(f"{seed} tokenizer.model", texts, ours, sentencepiece_expected(model, texts)))
    print(f"tokenizers {tokenizers.__version__}: {sum(good)} of {len(good)} files equal")
    return 0 if all(good) else 1


def write_vectors(path: Path) -> None:
    """A small file of each form with its ids, for the tests that run without Python. One line each."""
    lines = []
    for seed in range(len(FORMS)):
        form, tokenizer, r, tokens = make(1000 * len(FORMS) + seed, sizes=(290, 320))
        texts = [random_text(r, tokens, (0, 1, 3, 8, 13)) for _ in range(25)]
        file = as_file(tokenizer, seed % 2 == 0)
        texts = [{"input": text, **answer} for text, answer in zip(texts, expected(tokenizer, texts))]
        lines.append(json.dumps({"form": form, "tokenizer": file, "texts": texts}, separators=(",", ":")))
    for seed in (0, 1, 2):
        model, texts = sentencepiece_model(seed, 460), sentencepiece_texts(random.Random(seed), 25)
        texts = [{"input": text, **answer} for text, answer in zip(texts, sentencepiece_expected(model, texts))]
        file = base64.b64encode(model).decode()
        lines.append(json.dumps({"form": f"sentencepiece {seed}", "model": file, "texts": texts}, separators=(",", ":")))
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vitrail", type=Path, help="the program")
    parser.add_argument("--count", type=int, default=40, help="files")
    parser.add_argument("--strings", type=int, default=1000, help="texts for each file")
    parser.add_argument("--vectors", type=Path, help="write the vectors of the C++ tests to this file instead")
    arguments = parser.parse_args()
    if arguments.vectors:
        write_vectors(arguments.vectors)
        return 0
    return compare(arguments.vitrail.absolute(), arguments.count, arguments.strings)


if __name__ == "__main__":
    sys.exit(main())
