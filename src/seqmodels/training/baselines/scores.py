"""Metrics of baselines on the test split, next to those of a classifier."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from seqmodels.data.sequences import Sequences
from seqmodels.tasks import Classification, MultilabelClassification, Task
from seqmodels.training.baselines.linear import RARE
from seqmodels.training.baselines.neighbours import nearest_neighbour
from seqmodels.training.baselines.summaries import summary
from seqmodels.training.baselines.texts import bag_of_words

HELP = "longer training (trainer.max_epochs), more dropout (model.dropout_output), another cell or more rows often help"
Baseline = Callable[[Sequences, Sequences, int], Tensor]

log = logging.getLogger(__name__)


def baseline_metrics(task: Task[Any], data: Any, own: Mapping[str, float]) -> dict[str, float]:
    """Return test metrics of baselines fitted on the train split, and say if the best one is as good as the model.

    A baseline that fails is left out with a line in the log.

    Args:
        task: a task after its test; others than classification have no baselines here.
        data: the data module that it was tested on.
        own: metrics of that test.

    Returns:
        Metrics by name, such as ``test/majority_accuracy``.
    """
    limit = task.trainer.limit_test_batches
    if not isinstance(task, Classification | MultilabelClassification) or isinstance(limit, int) or limit < 1:
        return {}  # with a limit, the test was of other rows
    train = data.split("train") if hasattr(data, "split") else None  # a data module of one's own may have none
    if not isinstance(train, Sequences) or train.__getitems__([0]).stepwise:
        log.info("there are no baselines beside this test: they need one class, or labels, for each whole sequence")
        return {}
    test, main = data.split("test"), "accuracy" if isinstance(task, Classification) else "f1_micro"
    found: dict[str, float] = {}
    scores: dict[str, float] = {}
    for name, baseline in suitable(train).items():
        try:
            found |= _metrics(task, name, baseline(train, test, data.sizes["output_size"]), test.targets)
            scores[name] = found[f"test/{name}_{main}"]
        except ImportError:
            log.info("the baseline %s needs scikit-learn: pip install 'seqmodels[baselines]'", name)
        except Exception as error:  # a baseline must not cost anyone a trained model
            log.warning("the baseline %s is left out: %s: %s", name, type(error).__name__, error)
    best, score = max(scores, key=scores.__getitem__, default=""), own.get(f"test/{main}", 1.0)
    if best and score < 1 and score <= scores[best]:
        values = main, score, best, scores[best], HELP
        log.warning("the model (test/%s %.3f) is not better than the baseline %s (%.3f): %s", *values)
    return found


def suitable(train: Sequences) -> dict[str, Baseline]:
    """Return the baselines for a split, by the prefix of their metrics."""
    if train.values.is_floating_point():
        return {"majority": majority, "nearest_neighbour": nearest_neighbour, "summary": summary}
    return {"majority": majority, "bag_of_words": bag_of_words}


def majority(train: Sequences, test: Sequences, outputs: int) -> Tensor:
    """Return logits ``(test rows, outputs)`` of the frequencies of the classes or labels in the train split."""
    targets = train.targets
    each = F.one_hot(targets, outputs) if targets.dim() == 1 else targets
    share = each.double().mean(0).clamp(RARE, 1 - RARE)
    return (share.log() if targets.dim() == 1 else share.logit()).float().expand(len(test), outputs)


def _metrics(task: Task[Any], name: str, logits: Tensor, targets: Tensor) -> dict[str, float]:
    """Return the metrics of a task for other logits; those of probabilities only if there are any."""
    metrics: Any = task.metrics["test"]
    own = metrics.clone(prefix=f"test/{name}_").cpu()
    own.reset()
    found = own(logits, targets)  # not update and compute, which would wait for other processes
    if logits.isfinite().all():
        loss = F.cross_entropy if targets.dim() == 1 else F.binary_cross_entropy_with_logits
        rows = 1 if targets.dim() == 1 else logits.shape[1]
        found[f"test/{name}_loss"] = loss(logits, targets) * rows
    else:
        del found[f"test/{name}_auroc"]
    return {key: float(value) for key, value in found.items()}
