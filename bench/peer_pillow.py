#!/usr/bin/python3
"""The crops of bench_augment from large photographs, with Pillow. Prints one JSON object: milliseconds a crop.

apt install python3-pil, then
  /usr/bin/python3 bench/peer_pillow.py photo.jpg --make large.jpg
  build/release/bin/bench_augment large.jpg >ours.json
  /usr/bin/python3 bench/peer_pillow.py large.jpg --boxes ours.json
--make writes the image as a photograph of 4000 x 3000 pixels, quality 90: enlarged, with fresh noise, because an enlarged
image alone has too few details. --boxes takes the boxes that bench_augment has drawn.
"""

import argparse
import io
import json
import time

from PIL import Image, ImageChops, features

TARGET = 224


def make(source, target):
    image = Image.open(source).convert("RGB").resize((4000, 3000), Image.BICUBIC)
    noise = [Image.effect_noise(image.size, 12) for _ in range(3)]
    image = ImageChops.add(image, Image.merge("RGB", noise), 1, -128)
    image.save(target, quality=90)


def whole(data, box):
    top, left, height, width = box
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return image.crop((left, top, left + width, top + height)).resize((TARGET, TARGET), Image.BICUBIC)


def draft(data, box):
    """Decodes at the largest of 1/8, 1/4, 1/2 that leaves the box at least as many pixels as the target has."""
    top, left, height, width = box
    image = Image.open(io.BytesIO(data))
    w, h = image.size
    shrink = next(s for s in (8, 4, 2, 1) if s == 1 or min(height, width) >= s * TARGET)
    image.draft("RGB", (w // shrink, h // shrink))
    image = image.convert("RGB")
    frame = [v / shrink for v in (left, top, left + width, top + height)]
    frame[2:] = min(frame[2], image.size[0]), min(frame[3], image.size[1])
    return image.resize((TARGET, TARGET), Image.BICUBIC, box=frame)


def mean_ms(fn, data, boxes):
    fn(data, boxes[0])
    start = time.perf_counter()
    for box in boxes:
        fn(data, box)
    return 1e3 * (time.perf_counter() - start) / len(boxes)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("file")
    p.add_argument("--make", metavar="OUT")
    p.add_argument("--boxes", metavar="JSON")
    args = p.parse_args()
    if args.make:
        return make(args.file, args.make)
    with open(args.file, "rb") as f:
        data = f.read()
    with open(args.boxes) as f:
        boxes = json.load(f)["boxes"]
    out = {"pillow": Image.__version__, "libjpeg_turbo": features.version("libjpeg_turbo")}
    out["crop_ms"] = {name: mean_ms(fn, data, boxes) for name, fn in (("whole", whole), ("draft", draft))}
    print(json.dumps(out, indent=2))


if __name__ == "__main__":
    main()
