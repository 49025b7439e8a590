"""simplejpeg with its fast options and OpenCV's linear resize (no antialiasing): the fastest Python way to feed a
network that was found (docs/decisions/0006). Random boxes and mirrors as in loader.mjs; gives bytes, not floats.
"""

import math
import random

import cv2
import numpy as np
import simplejpeg
from serve import THREADS, photos_of, serve

SIZE = 224


def box(width: int, height: int) -> tuple[int, int, int, int]:
    """x, y, width, height of 8 to 100 % of the area, of an aspect from 3/4 to 4/3."""
    area = width * height
    for _ in range(10):
        part = area * random.uniform(0.08, 1)
        aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(part * aspect)), round(math.sqrt(part / aspect))
        if 0 < w <= width and 0 < h <= height:
            return random.randint(0, width - w), random.randint(0, height - h), w, h
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


class OpenCv:
    def prepare(self, work, batch, precision, photos):
        cv2.setNumThreads(THREADS)
        self.files = photos_of(photos)
        self.batch = np.empty((batch, SIZE, SIZE, 3), np.uint8)

    def run(self):
        for row in self.batch:
            with open(random.choice(self.files), 'rb') as file:
                image = simplejpeg.decode_jpeg(file.read(), 'RGB', fastdct=True, fastupsample=True)
            x, y, w, h = box(image.shape[1], image.shape[0])
            image = cv2.resize(image[y : y + h, x : x + w], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
            row[:] = image[:, ::-1] if random.random() < 0.5 else image


serve(OpenCv())
