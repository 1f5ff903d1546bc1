"""The lab's tiny base model: a tokenizer, a generic copying corpus, pretraining, and the shipped weights.

Torch is imported only when a model is built or loaded.
"""

from understudy.lab.base.model import load_base
from understudy.lab.base.probe import CopyScore, copy_accuracy

__all__ = ["CopyScore", "copy_accuracy", "load_base"]
