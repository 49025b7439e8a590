"""TensorFlow with oneDNN: tf.function, NHWC, its own LRN; bf16 with f32 weights that are cast, as Keras' mixed policy does,
and LRN as shifted adds, since TensorFlow has none in bf16 on processors.
"""

import numpy as np
import tensorflow as tf
from serve import THREADS, images, inputs, labels, network, serve, weights

tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(1)
RATE = 1e-3
TYPES = {'f32': tf.float32, 'bf16': tf.bfloat16}


def arrange(name, value):
    """(O,I,H,W) -> (H,W,I,O); (O,I) -> (I,O), with the rows of a flattened map in NHWC order."""
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    if name.endswith('/fc.weight'):
        return value.reshape(-1, 128, 4, 4).transpose(2, 3, 1, 0).reshape(2048, -1)
    return value.T


def lrn(x, row):
    half, alpha, k = row['size'] // 2, row['alpha'] / row['size'], row.get('k', 1)
    if x.dtype == tf.float32:
        return tf.nn.local_response_normalization(x, half, k, alpha, row['beta'])
    count = x.shape[3]
    square = tf.pad(tf.square(x), [[0, 0], [0, 0], [0, 0], [half, half]])
    total = tf.add_n([square[..., shift : shift + count] for shift in range(row['size'])])
    assert row['beta'] == 0.75
    root = tf.math.rsqrt(k + total * alpha)
    return x * (root * tf.sqrt(root))


def infer_or_train(rows, tensors, x, target, dropout):
    """Probabilities; the weighted loss when there is a target; computes in the type of x."""
    blobs, loss = {'data': x}, 0.0
    tensors = {name: tf.cast(value, x.dtype) for name, value in tensors.items()}
    for row in rows:
        op, names, y = row['op'], row.get('src'), None
        if op == 'input':
            continue
        src = blobs[names] if isinstance(names, str) else [blobs[name] for name in names]
        if op in ('conv', 'linear'):
            weight, bias = tensors[row['name'] + '.weight'], tensors[row['name'] + '.bias']
            if op == 'conv':
                pad, stride = row.get('pad', 0), row.get('stride', 1)
                padding = 'SAME' if stride == 1 else [[0, 0], [pad, pad], [pad, pad], [0, 0]]
                y = tf.nn.bias_add(tf.nn.conv2d(src, weight, stride, padding), bias)
            else:
                y = tf.reshape(src, (src.shape[0], -1)) @ weight + bias
            y = tf.nn.relu(y) if row.get('relu') else y
        elif op == 'pool' and row['kind'] == 'max':
            y = tf.nn.max_pool2d(src, row['kernel'], row.get('stride', 1), 'SAME')
        elif op == 'pool':
            y = tf.nn.avg_pool2d(src, row['kernel'], row.get('stride', 1), 'VALID')
        elif op == 'lrn':
            y = lrn(src, row)
        elif op == 'concat':
            y = tf.concat(src, 3)
        elif op == 'dropout':
            y = tf.nn.dropout(src, row['ratio']) if dropout else src
        elif op == 'softmax':
            y = tf.nn.softmax(tf.cast(src, tf.float32))
        elif op == 'loss':
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(target, tf.cast(src, tf.float32))
            loss = loss + row['weight'] * tf.reduce_mean(entropy)
        blobs[row['name']] = y
    return blobs['prob'] if target is None else loss


class TensorFlow:
    def prepare(self, work, batch, precision):
        if work == 'training':
            self.train(batch, precision, dropout=True)
            return None
        rows = [row for row in network() if row.get('phase') != 'train']
        needed = {row['name'] for row in rows}
        kept = {name: value for name, value in weights().items() if name.rsplit('.', 1)[0] in needed}
        tensors = {name: tf.constant(arrange(name, value), TYPES[precision]) for name, value in kept.items()}
        function = tf.function(lambda x: infer_or_train(rows, tensors, tf.cast(x, TYPES[precision]), None, False))
        self.predict = lambda data: function(tf.constant(data.transpose(0, 2, 3, 1))).numpy()
        x = tf.constant(inputs(batch, precision).transpose(0, 2, 3, 1))
        self.run = lambda: function(x).numpy()
        return self.run()

    def train(self, batch, precision, dropout):
        rows = [row for row in network() if row.get('phase') != 'inference']
        tensors = {name: tf.Variable(arrange(name, value)) for name, value in weights().items()}
        momenta = {name: tf.Variable(tf.zeros_like(value)) for name, value in tensors.items()}
        x = tf.constant(images('centred.f32', batch).transpose(0, 2, 3, 1))
        target = tf.constant(labels(batch))

        @tf.function
        def step(x, target):
            with tf.GradientTape() as tape:
                loss = infer_or_train(rows, tensors, tf.cast(x, TYPES[precision]), target, dropout)
            gradients = tape.gradient(loss, tensors)
            for name, variable in tensors.items():
                bias = name.endswith('.bias')
                gradient = gradients[name] if bias else gradients[name] + 2e-4 * variable
                momenta[name].assign(0.9 * momenta[name] + gradient)
                variable.assign_sub((2 * RATE if bias else RATE) * momenta[name])
            return loss

        self.run = lambda: float(step(x, target))

    def losses(self, batch, steps, precision):
        self.train(batch, precision, dropout=False)
        return [self.run() for _ in range(steps)]


serve(TensorFlow())
