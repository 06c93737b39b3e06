"""What each token of a text that an encoder and decoder writes rests on: a picture of source tokens by written ones."""

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from seqmodels.data import PairBatch
from seqmodels.inspection.attribution.contributions import embedded, fed
from seqmodels.inspection.attribution.decisions import Decision, log_odds
from seqmodels.inspection.attribution.weights import weights_of
from seqmodels.inspection.charts import Figure, heat_map
from seqmodels.inspection.finding import Finding
from seqmodels.models import Copies
from seqmodels.tasks import Seq2Seq

AT_ONCE = 16  # tokens, each a row that runs the whole network
MEASURE = "log-odds of each token"
TITLE = 80  # letters of a source


def written(task: Seq2Seq, source: str) -> list[Decision]:
    """Return the tokens of the best output for a source as decisions, 16 of them in each.

    The decoder reads the tokens that it wrote before, and they are held fixed: contributions are those of the source
    alone. The baseline is a source of embeddings of zeros.

    Args:
        task: in evaluation mode.
        source: the text.
    """
    batch, read, tokens = task.written(source)
    copies = task.predictor.copies_of(batch)
    inputs = embedded(task.model.dropout_input, lambda: task.model.encode(batch.inputs, batch.lengths, copies))

    def of_steps(steps: Tensor) -> Decision:
        rows, chosen = len(steps), torch.tensor(tokens)[steps]
        several = None if copies is None else Copies(copies.ids.expand(rows, -1), copies.extra)
        before = read[:, : int(steps[-1]) + 1].expand(rows, -1)

        def score(x: Tensor) -> Tensor:
            with fed(task.model.dropout_input, x):
                prediction = task.model(
                    batch.inputs.expand(rows, -1), before, batch.lengths.expand(rows), copies=several
                )
            return log_odds(prediction.log_probs[torch.arange(rows), steps].double(), chosen)

        names = task.pieces(chosen.tolist(), source)
        return Decision(inputs.expand(rows, -1, -1), torch.zeros(()), score, names, MEASURE, steps.tolist())

    return [of_steps(steps) for steps in torch.arange(len(tokens)).split(AT_ONCE)]


def explain_written(task: Seq2Seq, batch: PairBatch, config: DictConfig) -> Finding:
    """Return a picture for each row of a batch: how much each source token contributed to each written token.

    Raises:
        ValueError: the batch is one of training, which has no texts; ``target`` or ``step`` is given; contributions do
            not sum to the difference of the outputs.
    """
    if config.target is not None or config.step is not None:
        raise ValueError("every token of an output is explained: leave out target= and step=")
    if not batch.texts:
        raise ValueError("batches of split=train have no texts to write for: name split=val, split=test or input=FILE")
    figures: dict[str, Figure] = {}
    arrays: dict[str, np.ndarray] = {}
    sentences: list[str] = []
    for row, text in enumerate(batch.texts):
        parts = written(task, text.source)
        weights = [weights_of(part, config.method, tokens=True) for part in parts]
        values = torch.cat([each.values.sum(2) for each in weights]).numpy()  # (written, source)
        names, pieces = [name for part in parts for name in part.names], task.preprocessing.source_pieces(text.source)
        title = text.source if len(text.source) <= TITLE else f"{text.source[:TITLE]} …"
        figures[f"Row {row}: {title}"] = heat_map(values, x=pieces, y=names, x_title="source", y_title="written")
        arrays |= {f"{row}/contributions": values, f"{row}/source": np.array(pieces), f"{row}/written": np.array(names)}
        if not sentences:
            token, place = np.unravel_index(values.argmax(), values.shape)
            strongest = f"{names[token]!r} rests most on {pieces[place]!r} ({values[token, place]:+.2g})"
            sentences = [max(weights, key=lambda each: each.gap).sentence, f"In row 0 {strongest}"]
    return Finding(f"Attribution: {MEASURE}", f"{'. '.join(sentences)}.", arrays, figures)
