"""Small models of every task as a run hands them over, without training: model folder, checkpoint, a file to read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from seqmodels.tasks import Task
from seqmodels.training.checkpoint_file import DurableCheckpointIO
from seqmodels.training.checkpoint_format import FORMAT
from seqmodels.training.checkpointing import build_task, recipe_of
from seqmodels.training.fit import check_config, load_data
from seqmodels.training.model_folder import save_model
from seqmodels.training.runs import resolved_config
from tests.composing import composed
from tests.sounds import RATE, tone, write_wav

SMALL = ["cell=gru", "cell.hidden_size=5", "logger=none", "callbacks=none"]
WORDS = ["fine", "dull", "film", "plot", "long", "never"]
TEXTS = [" ".join(WORDS[(row * step) % 6] for step in range(1, 2 + row % 4)) for row in range(30)]


class Saved(NamedTuple):
    """A model and data for it."""

    run: Path  # with checkpoints/best.ckpt and model/
    task: Task[Any]  # the same model as its task
    file: Path  # of new records
    values: Sequence[Any]  # the same records as values in Python


def saved(folder: Path, *overrides: str, file: Path, values: Sequence[Any]) -> Saved:
    """Save the model of a command line, with random weights that depend on nothing else."""
    run = folder / "run"
    config = composed(run, *SMALL, *overrides)
    data = load_data(check_config(config), "fit")
    recipe = recipe_of(resolved_config(config), data)
    torch.manual_seed(3)
    task = build_task(config, data.sizes, data.preprocessing)
    content = {"format": FORMAT, "recipe": recipe, "state_dict": task.state_dict()}
    DurableCheckpointIO().save_checkpoint(content, run / "checkpoints" / "best.ckpt")
    save_model(run / "model", task.model, recipe, {"test/loss": 0.5})
    return Saved(run, task.eval(), file, values)


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def texts(folder: Path, name: str = "text_csv", label: str = "label", *overrides: str) -> Saved:
    rows = [
        f"{text},{('good', 'bad')[row % 2] if name != 'text_csv_regression' else row}" for row, text in enumerate(TEXTS)
    ]
    table = write(folder / "texts.csv", f"text,{label}", *rows)
    new = TEXTS[:7][::-1]
    own = [f"data={name}", f"data.path='{table}'", "model.embedding_size=3", "vocabulary.min_frequency=1", *overrides]
    return saved(folder, *own, file=write(folder / "new.csv", "text", *new), values=new)


def classification(folder: Path) -> Saved:
    return texts(folder)


def multilabel(folder: Path) -> Saved:
    return texts(folder, "text_csv_multilabel", "labels")


def regression(folder: Path) -> Saved:
    steps = [
        (row, step, (row * 7 + step) % 5 / 3, row % 4 + step / 2) for row in range(24) for step in range(2 + row % 3)
    ]
    lines = [",".join(map(str, (row, step, x, y, row % 6 + 0.5))) for row, step, x, y in steps]
    table = write(folder / "steps.csv", "id,time,x,y,price", *lines)
    own = ["data=csv_sequences_regression", "data.target=price", "data.id=id", "data.time=time", "front=none"]
    own += ["model=regressor", "pooling=last", f"data.path='{table}'"]
    new = [[(x, y) for number, _, x, y in steps if number == row] for row in range(7)]
    short = [line.rpartition(",")[0] for line in lines if int(line.split(",")[0]) < 7]
    return saved(
        folder,
        *own,
        file=write(folder / "new.csv", "id,time,x,y", *short),
        values=[torch.tensor(x, dtype=torch.float64) for x in new],
    )


def forecasting(folder: Path) -> Saved:
    def lines(first: int, days: int) -> list[str]:
        rows = [(shop, day) for shop in ("anna", "ben") for day in range(first, first + days)]
        return [f"{shop},2024-01-{day + 1:02d},{len(shop) * 10 + day % 7}" for shop, day in rows]

    table = write(folder / "shops.csv", "shop,date,sales", *lines(0, 31))
    own = ["data=csv_series", f"data.path='{table}'", "data.target=sales", "data.time=date", "data.group=[shop]"]
    own += ["data.input_length=7", "data.horizon=3", "likelihood=gaussian"]
    new = lines(10, 9)
    records = [
        {"shop": shop, "date": [line.split(",")[1] for line in new if line.startswith(shop)],
         "sales": [float(line.split(",")[2]) for line in new if line.startswith(shop)]}
        for shop in ("anna", "ben")
    ]  # fmt: skip
    return saved(folder, *own, file=write(folder / "new.csv", "shop,date,sales", *new), values=records)


def language_modeling(folder: Path) -> Saved:
    text = write(folder / "own.txt", *TEXTS * 5)
    own = ["data=text", f"data.path='{text}'", f"data.cache_dir='{folder / 'cache'}'", "data.batch_size=3"]
    own += ["data.bptt=9", "model.embedding_size=3", "data.documents=line"]
    new = [text for text in TEXTS[:7] if text]
    return saved(folder, *own, file=write(folder / "new.txt", *new), values=new)


def seq2seq(folder: Path) -> Saved:
    table = write(folder / "pairs.tsv", "source\ttarget", *(f"{text}\t{text[::-1]}" for text in TEXTS))
    own = ["data=text_pairs", f"data.path='{table}'", "model.embedding_size=4", "task.metrics=[wer]"]
    return saved(folder, *own, file=write(folder / "new.txt", *TEXTS[:7]), values=TEXTS[:7])


def tagging(folder: Path) -> Saved:
    blocks = ["\n".join(f"{word} {'AB'[len(word) % 2]}" for word in text.split()) + "\n" for text in TEXTS]
    table = write(folder / "tags.conll", *blocks)
    own = ["data=tags", f"data.path='{table}'", "model.embedding_size=4", "model.character_hidden_size=3"]
    own += ["model.character_embedding_size=3", "model.crf=true"]
    return saved(folder, *own, file=write(folder / "new.txt", *TEXTS[:7]), values=[text.split() for text in TEXTS[:7]])


def ctc(folder: Path) -> Saved:
    sounds = [write_wav(folder / f"{row}.wav", tone(300 + 200 * row, 0.1 + row / 50)) for row in range(8)]
    table = write(folder / "table.csv", "file,text", *(f"{row}.wav,{'abc'[row % 3]}" for row in range(8)))
    own = [
        "data=audio_transcripts",
        f"data.path='{table}'",
        "data.val_share=0.25",
        "data.test_share=0.25",
        "front=none",
    ]
    own += [f"features.sample_rate={RATE}", "features.bands=5"]
    new = write(folder / "new.csv", "file", *(f"{row}.wav" for row in range(5)))
    return saved(folder, *own, file=new, values=[str(sound) for sound in sounds[:5]])


KINDS = {
    make.__name__: make
    for make in (classification, multilabel, regression, forecasting, language_modeling, seq2seq, tagging, ctc)
}
