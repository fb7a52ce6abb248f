"""The data of the trained models, out of scikit-learn's own files, split by a fixed permutation.

Nothing is downloaded. scikit-learn comes with the extras `test` and `train`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Split:
    """Inputs [n, ...] as float32 and class numbers [n], for training and held out."""

    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray


def _split(inputs: np.ndarray, labels: np.ndarray) -> Split:
    """Three quarters to train on, one to test on, in the order that seed 0 gives."""
    order = np.random.default_rng(0).permutation(len(inputs))
    cut = len(inputs) * 3 // 4
    train, test = order[:cut], order[cut:]
    return Split(inputs[train], labels[train], inputs[test], labels[test])


def digit_images() -> Split:
    """1,797 handwritten digits, [n, 1, 8, 8], values 0 to 16."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return _split(digits.images[:, None].astype(np.float32), digits.target)


def digit_rows() -> Split:
    """The same digits as sequences of eight rows, [n, 8, 8]."""
    images = digit_images()
    return Split(images.train_inputs[:, 0], images.train_labels, images.test_inputs[:, 0], images.test_labels)


def tumours() -> Split:
    """569 tumours by 30 measurements of their cells, [n, 30]; class 0 is malignant."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    return _split(data.data.astype(np.float32), data.target)
