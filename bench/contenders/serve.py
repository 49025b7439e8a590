"""The answering side of a contender that runs in Python; same requests and replies as serve.mjs.

A contender is an object with prepare(work, batch, precision), run(), predict(images) when it infers and, when it trains,
losses(batch, steps, precision). One that cannot time single batches has its own slice(seconds), which returns milliseconds per batch.
"""

import base64
import json
import os
import random
import struct
import sys
import time

import numpy as np

# Libraries print to stdout as they like: replies go to a copy of it, everything else to stderr.
_replies = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)

THREADS = int(os.environ['BENCH_THREADS'])


def prepared(name: str) -> str:
    return os.path.join(os.environ['BENCH_PREPARED'], name)


def made(name: str) -> str:
    """A file of the folder that a quantiser fills."""
    return os.path.join(os.environ['BENCH_MADE'], name)


def network() -> list[dict]:
    with open(prepared('network.json')) as file:
        return json.load(file)


def images(name: str, batch: int) -> np.ndarray:
    """The two prepared images, repeated to fill a batch: (N,3,H,W)."""
    two = np.fromfile(prepared(name), '<f4')
    size = round((two.size / 6) ** 0.5)
    two = two.reshape(2, 3, size, size)
    return np.ascontiguousarray(two[np.arange(batch) % 2])


def inputs(batch: int, precision: str) -> np.ndarray:
    """What inference is timed on: the images as Caffe got them; in int8, whose scales are of photos minus mean, so."""
    return images('centred.f32' if precision == 'int8' else 'images.f32', batch)


def labels(batch: int) -> np.ndarray:
    return np.arange(batch) * 37 % 1000


def photos_of(folder: str) -> list[str]:
    """Paths of prepared photos; choosing among them by chance is repeatable from here on."""
    random.seed(1)
    path = prepared(folder)
    return [os.path.join(path, name) for name in sorted(os.listdir(path))]


def calibration() -> np.ndarray:
    """Photos to take int8's scales from: (N,3,224,224), minus mean."""
    return photos('calibration.u8')


def photos(name: str, first: int = 0, count: int = -1) -> np.ndarray:
    """Of a prepared file of bytes, B G R: (N,3,224,224), minus Caffe's mean."""
    size = 3 * 224 * 224
    data = np.fromfile(prepared(name), np.uint8, count * size, offset=first * size).reshape(-1, 3, 224, 224)
    return data.astype(np.float32) - np.float32([104, 117, 123])[:, None, None]


def weights() -> dict[str, np.ndarray]:
    with open(prepared('weights.safetensors'), 'rb') as file:
        (size,) = struct.unpack('<Q', file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    header.pop('__metadata__', None)
    tensors = {}
    for name, entry in header.items():
        start, end = entry['data_offsets']
        tensors[name] = np.frombuffer(data[start:end], '<f4').reshape(entry['shape']).copy()
    return tensors


def last_uses(rows: list[dict]) -> list[list[str]]:
    """For each row the blobs that nobody reads after it: a contender frees them as its own code would."""
    last = {}
    for index, row in enumerate(rows):
        sources = row.get('src', [])
        for name in [sources] if isinstance(sources, str) else sources:
            last[name] = index
    freed = [[] for _ in rows]
    for name, index in last.items():
        freed[index].append(name)
    return freed


def _slice(contender, seconds: float) -> list[float]:
    milliseconds = []
    end = time.perf_counter() + seconds
    while len(milliseconds) < 2 or time.perf_counter() < end:
        start = time.perf_counter()
        contender.run()
        milliseconds.append((time.perf_counter() - start) * 1e3)
    return milliseconds


def _answer(contender, request: dict) -> dict:
    kind = request['do']
    if kind == 'prepare':
        folder = {'photos': request['photos']} if 'photos' in request else {}
        output = contender.prepare(request['work'], request['batch'], request['precision'], **folder)
        return {'output': None if output is None else base64.b64encode(np.asarray(output, '<f4').tobytes()).decode()}
    if kind == 'predict':
        output = contender.predict(photos('accuracy.u8', request['first'], request['count']))
        return {'output': base64.b64encode(np.asarray(output, '<f4').tobytes()).decode()}
    if kind == 'slice':
        own = getattr(contender, 'slice', None)
        return {'milliseconds': own(request['seconds']) if own else _slice(contender, request['seconds'])}
    if kind == 'losses':
        return {'losses': contender.losses(request['batch'], request['steps'], request['precision'])}
    raise ValueError(f'unknown request {kind!r}')


def serve(contender) -> None:
    for line in sys.stdin:
        try:
            reply = _answer(contender, json.loads(line))
        except Exception as error:  # reported, so that the other contenders go on
            reply = {'error': f'{type(error).__name__}: {error}'[:500]}
        print(json.dumps(reply), file=_replies, flush=True)
    # Some runtimes hang or crash while their threads are torn down.
    os._exit(0)
