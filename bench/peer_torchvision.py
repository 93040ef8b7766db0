#!/usr/bin/python3
"""The measurements of bench_augment with torchvision on Pillow. Prints one JSON object with the same keys.

apt install python3-torchvision python3-pil; then /usr/bin/python3 bench/peer_torchvision.py photo.jpg
--make OUT first writes the image as a JPEG of 500 x 375, quality 90, so that both programs read the same file. This is
the usual size in ImageNet.
"""

import argparse
import io
import json
import random
import statistics
import time

import torch
from PIL import Image, ImageFilter, ImageOps
from torchvision import transforms
from torchvision.transforms import functional as F


class GaussianBlur:
    def __init__(self, probability):
        self.probability = probability

    def __call__(self, image):
        if random.random() > self.probability:
            return image
        return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2)))


class Solarize:
    def __call__(self, image):
        return ImageOps.solarize(image) if random.random() < 0.2 else image


def view(size, scale, blur, solarize=False):
    jitter = transforms.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=scale, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([jitter], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            GaussianBlur(blur),
            *([Solarize()] if solarize else []),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )


VIEWS = [view(224, (0.4, 1), 1), view(224, (0.4, 1), 0.1, True)] + 8 * [view(96, (0.05, 0.4), 0.5)]


def augment(image):
    return [view(image) for view in VIEWS]


def decode(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def median_ms(seconds, fn):
    fn()
    times, start = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < seconds:
        call = time.perf_counter()
        fn()
        times.append(1e3 * (time.perf_counter() - call))
    return statistics.median(times)


def per_second(seconds, fn):
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        fn()
        count += 1
    return count / (time.perf_counter() - start)


def operations(data, image, seconds):
    w, h = image.size
    bicubic = transforms.InterpolationMode.BICUBIC
    box, small = (h // 10, w // 10, h * 8 // 10, w * 8 // 10), (h // 10, w // 10, h // 2, w * 4 // 10)
    crop = F.resized_crop(image, *box, (224, 224), bicubic)
    normalize = transforms.Compose(VIEWS[0].transforms[-2:])
    calls = {
        "decode": lambda: decode(data),
        "resized_crop_224": lambda: F.resized_crop(image, *box, (224, 224), bicubic),
        "resized_crop_96": lambda: F.resized_crop(image, *small, (96, 96), bicubic),
        "flip": lambda: F.hflip(crop),
        "brightness": lambda: F.adjust_brightness(crop, 1.01),
        "contrast": lambda: F.adjust_contrast(crop, 0.99),
        "saturation": lambda: F.adjust_saturation(crop, 1.01),
        "hue": lambda: F.adjust_hue(crop, 0.05),
        "solarize": lambda: ImageOps.solarize(crop),
        "blur": lambda: crop.filter(ImageFilter.GaussianBlur(radius=1.2)),
        "normalize": lambda: normalize(crop),
        "grayscale": lambda: F.to_grayscale(crop, 3),
    }
    return {name: median_ms(seconds, fn) for name, fn in calls.items()}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("file")
    p.add_argument("--make", metavar="OUT")
    p.add_argument("--seconds", type=float, default=4)
    args = p.parse_args()
    torch.set_num_threads(1)
    if args.make:
        Image.open(args.file).convert("RGB").resize((500, 375), Image.BICUBIC).save(args.make, quality=90)
        args.file = args.make
    with open(args.file, "rb") as f:
        data = f.read()
    image = decode(data)
    out = {"file": args.file, "height": image.size[1], "width": image.size[0], "bytes": len(data), "threads": 1}
    out["ms"] = operations(data, image, args.seconds / 20)
    out["augmented_per_s"] = per_second(args.seconds / 2, lambda: augment(image))
    out["images_per_s"] = per_second(args.seconds / 2, lambda: augment(decode(data)))
    print(json.dumps(out, indent=2))


if __name__ == "__main__":
    main()
