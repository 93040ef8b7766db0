"""Runs the program `vitrail` on a model that another library has saved, and compares the numbers of both."""

import importlib.metadata
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

TOLERANCE = 1e-4  # the largest difference of a feature, a probability or a loss
# Notes of `convert`: the other program cannot prepare images as the model needs them.
OTHER_PIXELS = ("prepares images otherwise", "rounds the place of the crop otherwise")
TEXTS = ["a red circle", "two cats", "a photograph of the sea", "nothing",
         "It's 12 o'clock:  a Café, naïve & WILD!!"]
TOKENS = [(7 * i * i + 3 * i + 1) % 90 for i in range(40)]  # a prompt of a language model


class Refused(Exception):
    """vitrail ended with an error. The text is its message."""


class NotStrict(Exception):
    """The other library found a name or a shape that it did not expect in our files."""


class Missing(Exception):
    """A package is not installed. The text is its name."""


@dataclass
class Theirs:
    """What the other library computes from the test images, or a language model from TOKENS."""

    features: np.ndarray | None = None  # [images, D]; None: a language model
    logits: np.ndarray | None = None  # [images, classes]
    classes: list[str] = field(default_factory=list)  # names of the logits; empty: the model has none
    text_probabilities: np.ndarray | None = None  # [images, TEXTS]
    pixels: np.ndarray | None = None  # [images, 3, H, W], the input of the model
    token_logits: np.ndarray | None = None  # [TOKENS, words] of a language model
    loss: np.ndarray | None = None  # of a language model that sees, on texts of its own


@dataclass
class Case:
    """A model that another library makes."""

    name: str
    settings: str  # what is special about it, for the table
    needs: tuple[str, ...]  # packages
    save: Callable[[Path], Theirs]  # writes the model to the path and computes its numbers
    refused: str = ""  # we may refuse the model if the message has this word, or one of "these|words"
    group: str = ""  # cases of one group are one line of the table if all is well
    file: str = ""  # the name of a single file to open; empty: the folder
    back: dict[str, Callable[[Path, np.ndarray], Theirs]] = field(default_factory=dict)  # see below
    # Differences by kind, in place of compare(): for models that the commands of vitrail do not open.
    check: Callable[["Vitrail", Path, Theirs, Path], dict[str, float]] | None = None
    tolerance: float = TOLERANCE

    # back: what reads our conversions. The key is the layout, or "layout (reader)" if several programs read it. The function loads the path strictly and computes from these pixels, or from the images if
    # it has a processor.


@dataclass
class Row:
    """A line of the result table."""

    name: str
    settings: str
    difference: float | None
    outcome: str
    good: bool
    layout: str = ""  # the row is of a conversion to it


def need(*packages: str) -> None:
    """Throws Missing for a package that is not installed."""
    for package in packages:
        version(package)


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise Missing(package) from error


def make_images(folder: Path) -> list[Path]:
    """Writes small images: of the models' size, wide, high, tiny and grey."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    paths = []
    for name, height, width in [("equal", 32, 32), ("wide", 45, 97), ("high", 83, 50), ("tiny", 17, 20), ("grey", 64, 64)]:
        y, x = np.mgrid[0:height, 0:width]
        waves = [np.sin(x * a + y * b + c) for a, b, c in random.uniform(0, 0.6, (3, 3))]
        pixels = 127 + 90 * np.stack(waves, -1) + random.normal(0, 25, (height, width, 3))
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        paths.append(folder / f"{name}.png")
        (image.convert("L") if name == "grey" else image).save(paths[-1])
    return paths


def largest_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Infinite if the shapes differ or a number is not finite."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape or not np.isfinite(ours).all() or not np.isfinite(theirs).all():
        return float("inf")
    return float(np.abs(ours - theirs).max(initial=0))


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def cosines(features: np.ndarray) -> np.ndarray:
    unit = features / np.linalg.norm(features, axis=-1, keepdims=True)
    return unit @ unit.T


def run_program(program: Path, *arguments) -> subprocess.CompletedProcess:
    """Runs one of our programs. Throws Refused with the message of an error."""
    done = subprocess.run([str(a) for a in (program, *arguments)], capture_output=True, text=True)
    if done.returncode < 0 or done.returncode > 100:
        raise RuntimeError(f"{program.name} {arguments[0]} crashed ({done.returncode}): {done.stderr[-500:]}")
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    return done


class Vitrail:
    """The program, and the images it is run on."""

    def __init__(self, program: Path, images: list[Path]):
        self.program, self.images = program, images
        self.notes = ""  # on standard error of the last run

    def run(self, *arguments) -> str:
        """Returns standard output. Throws Refused with the message of an error."""
        done = run_program(self.program, *arguments)
        self.notes = done.stderr
        return done.stdout

    def features(self, model: Path, scratch: Path) -> np.ndarray:
        self.run("features", "-m", model, *self.images, "-o", scratch / "features.npy")
        return np.load(scratch / "features.npy")

    def cosines(self, model: Path) -> np.ndarray:
        return np.array(json.loads(self.run("similarity", "-m", model, *self.images, "--json"))["cosines"])

    def probabilities(self, model: Path, names: list[str]) -> np.ndarray:
        """Of all classes, in the order of the model's outputs. names: theirs; empty if it has none."""
        answer = json.loads(self.run("predict", model, *self.images, "-k", 1000, "--json"))
        rows = [[c["probability"] for c in sorted(image["labels"], key=lambda c: c["output"])] for image in answer]
        for c in answer[0]["labels"]:
            if c["label"] in names and names[c["output"]] != c["label"]:
                raise RuntimeError(f"predict calls output {c['output']} '{c['label']}'")
        return np.array(rows)

    def text_probabilities(self, model: Path) -> np.ndarray:
        labels = ["--labels", *TEXTS]
        answer = self.run("zero-shot", "-m", model, *self.images, "-k", len(TEXTS), "--json", "--labels", *TEXTS)
        found = [{c["label"]: c["probability"] for c in image["labels"]} for image in json.loads(answer)]
        return np.array([[image[text] for text in TEXTS] for image in found])

    def token_logits(self, model: Path, scratch: Path) -> np.ndarray:
        file = scratch / "logits.safetensors"
        self.run("generate", model, "--prompt-ids", *TOKENS, "-n", 0, "--precision", "f32", "--logits", file)
        return load_file(file)["logits"]

    def loss(self, model: Path, names: list[str], scratch: Path) -> float:
        """The mean loss of images in folders of classes. Image i belongs to class i, counted round."""
        data = scratch / "data"
        for i in range(max(len(names), len(self.images))):
            image, name = self.images[i % len(self.images)], names[i % len(names)]
            folder = data / "val" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / image.name).write_bytes(image.read_bytes())
        return json.loads(self.run("eval", model, data, "--json", "--confusion", ""))["loss"]


def expected_loss(theirs: Theirs, images: int) -> float:
    probabilities = softmax(theirs.logits)
    count = len(theirs.classes)
    pairs = {(i % images, i % count) for i in range(max(count, images))}
    return float(np.mean([-np.log(probabilities[image, label]) for image, label in pairs]))


def compare(vitrail: Vitrail, model: Path, theirs: Theirs, scratch: Path, one_of_many: bool) -> dict[str, float]:
    """The largest difference by kind of number. Throws Refused."""
    if theirs.token_logits is not None:
        return {"token logits": largest_difference(vitrail.token_logits(model, scratch), theirs.token_logits)}
    found = {"features": largest_difference(vitrail.features(model, scratch), theirs.features)}
    if not one_of_many:
        found["similarity"] = largest_difference(vitrail.cosines(model), cosines(theirs.features))
    if theirs.logits is not None:
        probabilities = vitrail.probabilities(model, theirs.classes)
        found["predict"] = largest_difference(probabilities, softmax(theirs.logits))
        if theirs.classes:
            loss = expected_loss(theirs, len(vitrail.images))
            found["eval"] = abs(vitrail.loss(model, theirs.classes, scratch) - loss)
    if theirs.text_probabilities is not None:
        found["zero-shot"] = largest_difference(vitrail.text_probabilities(model), theirs.text_probabilities)
    return found


def difference_between(a: Theirs, b: Theirs) -> dict[str, float]:
    """The same for two models of other libraries."""
    if b.token_logits is not None:
        return {"token logits": largest_difference(a.token_logits, b.token_logits)}
    found = {"features": largest_difference(a.features, b.features)}
    if b.logits is not None:
        found["logits"] = largest_difference(a.logits, b.logits) if a.logits is not None else float("inf")
    if b.text_probabilities is not None and a.text_probabilities is not None:
        found["zero-shot"] = largest_difference(a.text_probabilities, b.text_probabilities)
    if b.pixels is not None and a.pixels is not None:
        found["pixels"] = largest_difference(a.pixels, b.pixels)
    return found


def row_of(name: str, settings: str, found: dict[str, float], tolerance: float) -> Row:
    wrong = [f"{kind} {value:.2g}" for kind, value in found.items() if value > tolerance]
    outcome = "WRONG: " + ", ".join(wrong) if wrong else "equal"
    return Row(name, settings, max(found.values()), outcome, not wrong)


def folder_name(case: Case) -> str:
    return case.name.replace(" ", "-").replace("/", "-")


def refusal_row(case: Case, message: str, work: Path) -> Row:
    message = message.replace(f"{work}/", "")
    message = message.replace(folder_name(case), "...")  # a name in the path is no name in the message
    line = message.splitlines()[-1] if "\n" not in message else " / ".join(m.strip() for m in message.splitlines())
    named = [word for word in case.refused.split("|") if word and word in message]
    if named:
        return Row(case.name, case.settings, None, f"refused by name: `{named[0]}`", True)
    return Row(case.name, case.settings, None, f"REFUSED: {line}", False)


def try_case(case: Case, vitrail: Vitrail, work: Path) -> list[Row]:
    """Compares one model, then everything that vitrail converts it to."""
    folder = work / folder_name(case)
    model = folder / "model"
    model.mkdir(parents=True, exist_ok=True)
    try:
        need(*case.needs)
        theirs = case.save(model)
    except Missing as missing:
        return [Row(case.name, case.settings, None, f"not run: {missing} is missing", True)]
    if case.file:
        model = model / case.file
    try:
        found = (case.check(vitrail, model, theirs, folder) if case.check
                 else compare(vitrail, model, theirs, folder, bool(case.group)))
        rows = [row_of(case.name, case.settings, found, case.tolerance)]
    except NotStrict as error:
        return [Row(case.name, case.settings, None, f"NOT STRICT: {error}", False)]
    except Refused as refused:
        return [refusal_row(case, str(refused), work)]
    if not rows[0].good:
        return rows
    for layout, load in case.back.items():
        rows.append(try_conversion(case, layout, load, vitrail, model, theirs, folder))
    return rows


def try_conversion(case: Case, layout: str, load, vitrail: Vitrail, model: Path, theirs: Theirs, folder: Path) -> Row:
    def row(outcome: str, good: bool) -> Row:
        return Row(case.name, f"--layout {layout}", None, outcome, good, layout)

    written = layout.split(" (")[0]
    is_folder = written.startswith("hf") or written == "open_clip"
    out = folder / (f"as_{written}" if is_folder else f"as_{written}.safetensors")
    try:
        vitrail.run("convert", model, "--layout", written, "-o", out)
    except Refused as refused:
        return row(f"not written: {str(refused).splitlines()[-1]}", True)
    announced = any(words in vitrail.notes for words in OTHER_PIXELS)
    try:
        found = difference_between(load(out, theirs.pixels), theirs)
        if announced:
            found.pop("pixels", None)
        result = row_of(case.name, f"--layout {layout}", found, case.tolerance)
        result.layout = layout
        return result
    except Missing as missing:
        return row(f"not run: {missing} is missing", True)
    except NotStrict as error:
        return row(f"NOT STRICT: {error}", False)


def summarised(rows: list[tuple[Case, Row]]) -> list[Row]:
    """The good rows of a group become one. Others stay as they are."""
    result: list[Row] = []
    groups: dict[str, list[Row]] = {}
    for case, row in rows:
        if case.group and row.good:
            groups.setdefault(case.group, []).append(row)
        else:
            result.append(row)
    for group, members in groups.items():
        equal = [row for row in members if row.outcome == "equal"]
        by_name = sum(row.outcome.startswith("refused by name") for row in members)
        other = len(members) - len(equal) - by_name
        counts = [(len(equal), "equal"), (by_name, "refused by name"), (other, "not run")]
        outcome = ", ".join(f"{count} {what}" for count, what in counts if count)
        difference = max((row.difference for row in equal), default=None)
        result.append(Row(group, f"{len(members)} models", difference, outcome, True))
    return result


def markdown(rows: list[Row]) -> str:
    """A line for each model, with its good conversions. A bad conversion has its own line."""
    lines = ["| model | settings | largest difference | outcome | converted to |", "| --- | --- | ---: | --- | --- |"]
    for row in rows:
        if row.layout and row.good:
            continue
        conversions = [] if row.layout else [r for r in rows if r.layout and r.good and r.name == row.name]
        kinds = [(what, [r.layout for r in conversions if r.outcome.startswith(start)])
                 for what, start in (("equal", "equal"), ("not written", "not written"), ("not run", "not run"))]
        converted = "; ".join(f"{what}: {', '.join(layouts)}" for what, layouts in kinds if layouts)
        differences = [r.difference for r in (row, *conversions) if r.difference is not None]
        difference = f"{max(differences):.1e}" if differences else ""
        lines.append(f"| {row.name} | {row.settings} | {difference} | {row.outcome} | {converted} |")
    return "\n".join(lines) + "\n"
