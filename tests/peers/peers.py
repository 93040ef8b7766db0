#!/usr/bin/env python3
"""Compares vitrail with transformers, timm, torchvision and open_clip on small random models. See README.md."""

import argparse
import fnmatch
import importlib
import os
import platform
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

import harness
from harness import Case, Missing, Row, Vitrail

PACKAGES = ("torch", "torchvision", "transformers", "peft", "timm", "open-clip-torch", "safetensors", "tokenizers",
            "pillow", "numpy")
MODULES = ("hugging_face", "timm_models", "open_clip_models", "language_models", "llava_models", "peft_adapters",
           "own_runs")

CAPTIONS = """a red circle and a blue square
two cats and three dogs on a photograph
a photograph of the sea with nothing else
nothing but the red sea
"""


@dataclass
class Context:
    images: list[Path]
    vocabulary: Path  # a folder with merges.txt and vocab.json
    vitrail: Vitrail

    def clip_backs(self) -> dict:
        """What loads the conversions of a CLIP, by layout."""
        import hugging_face
        import open_clip_models

        return {"hf": hugging_face.clip_loader(self), **open_clip_models.loaders(self)}


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions() -> str:
    def text(package: str) -> str:
        try:
            return f"{package} {harness.version(package)}"
        except Missing:
            return f"no {package}"

    return f"Python {platform.python_version()}, " + ", ".join(map(text, PACKAGES)) + f"; {processor()}"


def run(case: Case, vitrail: Vitrail, work: Path) -> list[Row]:
    """A fault of one case, ours or theirs, must not hide the others."""
    try:
        return harness.try_case(case, vitrail, work)
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        line = traceback.format_exc().strip().splitlines()[-1]
        return [Row(case.name, case.settings, None, f"ERROR: {line}", False)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vitrail", type=Path, required=True, help="the program")
    parser.add_argument("--work", type=Path, help="keep the models in this folder")
    parser.add_argument("--only", default="*", help="names of cases, such as 'open_clip*'")
    parser.add_argument("--table", type=Path, help="write the result table to this file")
    arguments = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1", TQDM_DISABLE="1")
    try:
        harness.need("torch", "safetensors", "pillow", "numpy")
    except Missing as missing:
        print(f"not run: {missing} is missing")
        return 77

    with tempfile.TemporaryDirectory() as scratch:
        work = (arguments.work or Path(scratch)).absolute()
        images = harness.make_images(work / "images")
        vitrail = Vitrail(arguments.vitrail.absolute(), images)
        (work / "captions.txt").write_text(CAPTIONS * 3)
        vitrail.run("tokenizer", work / "captions.txt", "--size", 600, "-o", work / "vocabulary")
        context = Context(images, work / "vocabulary", vitrail)
        pairs: list[tuple[Case, Row]] = []
        for module in MODULES:
            for case in importlib.import_module(module).cases(context):
                if not fnmatch.fnmatch(case.name, arguments.only):
                    continue
                for row in run(case, vitrail, work):
                    print(f"{row.name} ({row.settings}): {row.outcome}"
                          + ("" if row.difference is None else f", {row.difference:.1e}"), flush=True)
                    pairs.append((case, row))

    rows = [row for _, row in pairs]
    if arguments.table:
        arguments.table.write_text(f"{versions()}\n\n{harness.markdown(harness.summarised(pairs))}")
    bad = [row for row in rows if not row.good]
    missing = sum(row.outcome.startswith("not run") for row in rows)
    print(versions())
    print(f"{len(rows) - len(bad) - missing} passed, {len(bad)} failed, {missing} not run")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
