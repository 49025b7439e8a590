"""torchvision's second transforms on bytes, antialiased as is their default: decode_jpeg, RandomResizedCrop, flip."""

import random

import torch
from serve import THREADS, photos_of, serve
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2

SIZE = 224


class TorchVision:
    def prepare(self, work, batch, precision, photos):
        torch.set_num_threads(THREADS)
        self.files = photos_of(photos)
        self.batch = torch.empty((batch, 3, SIZE, SIZE), dtype=torch.uint8)
        self.transform = v2.Compose([v2.RandomResizedCrop(SIZE, antialias=True), v2.RandomHorizontalFlip()])

    def run(self):
        for row in self.batch:
            image = decode_jpeg(read_file(random.choice(self.files)), mode=ImageReadMode.RGB)
            row.copy_(self.transform(image))


serve(TorchVision())
