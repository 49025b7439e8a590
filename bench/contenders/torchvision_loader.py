"""torchvision's second transforms on bytes, antialiased as is their default: decode_jpeg, RandomResizedCrop, flip."""

import os
import random

import torch
from serve import THREADS, prepared, serve
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2

SIZE = 224


class TorchVision:
    def prepare(self, work, batch, precision, photos):
        torch.set_num_threads(THREADS)
        random.seed(1)
        folder = prepared(photos)
        self.files = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        self.batch = torch.empty((batch, 3, SIZE, SIZE), dtype=torch.uint8)
        self.transform = v2.Compose([v2.RandomResizedCrop(SIZE, antialias=True), v2.RandomHorizontalFlip()])

    def run(self):
        for row in self.batch:
            image = decode_jpeg(read_file(random.choice(self.files)), mode=ImageReadMode.RGB)
            row.copy_(self.transform(image))


serve(TorchVision())
