"""Examples of what a model makes of validation rows, printed and given to the loggers."""

import logging
from collections.abc import Mapping, Sequence

from lightning.pytorch import LightningModule

SHOWN = 3
"""Number of rows to show at each validation, the first ones of the split."""

log = logging.getLogger("seqmodels")


def show_examples(task: LightningModule, examples: Sequence[Mapping[str, str]]) -> None:
    """Print examples, and add them as text to those loggers of the trainer that hold texts, such as TensorBoard's.

    Call it in the first process alone.

    Args:
        task: the task, in training.
        examples: per row its texts by name, such as ``input``, ``reference`` and ``output``.
    """
    width = max((len(name) for example in examples for name in example), default=0)
    blocks = ["\n".join(f"{name:{width}}  {text}" for name, text in example.items()) for example in examples]
    log.info("examples of validation\n%s", "\n\n".join(blocks))
    text = "\n\n".join(
        "\n".join(f"    {line}" for line in block.splitlines()) for block in blocks
    )  # Markdown: verbatim
    for logger in task.loggers:
        add_text = getattr(logger.experiment, "add_text", None)
        if add_text is not None:
            add_text("val/examples", text, task.global_step)
