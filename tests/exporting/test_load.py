"""Trained models in Python: they say what the commands write, whatever the batch, without Lightning and Hydra."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seqmodels
from seqmodels import tasks
from seqmodels.errors import ConfigError, Refused, TargetRefused
from seqmodels.exporting import Forecast, Model
from seqmodels.exporting.loading import PREDICTORS
from seqmodels.exporting.stepping import refuses_steps
from seqmodels.system.names import public_name
from seqmodels.tasks.predictors.predictor import on_device
from tests.conftest import TOLERANCE
from tests.exporting.saved import KINDS, Saved, texts
from tests.exporting.test_prediction import run_predict


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    """The model of each task, made once."""
    return cache(lambda kind: KINDS[kind](tmp_path_factory.mktemp(kind)))


@pytest.fixture(params=KINDS)
def one(request: pytest.FixtureRequest, made: Callable[[str], Saved]) -> Saved:
    """The model of one task."""
    return made(request.param)


@pytest.fixture
def classifier(made: Callable[[str], Saved]) -> Saved:
    return made("classification")


def loaded(one: Saved) -> Model:
    return seqmodels.load(one.run)


def assert_same(found: Any, expected: Any) -> None:
    """Compare predictions: numbers up to rounding, all else exactly."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for part, other in zip(found, expected, strict=True):
            assert_same(part, other)
        return
    assert found == (pytest.approx(expected, **approx) if isinstance(expected, float) else expected)


STEPWISE = ("pooling=last", "model.bidirectional=false")
approx = {"rel": TOLERANCE[torch.float32]["rtol"], "abs": TOLERANCE[torch.float32]["atol"]}


def test_python_predicts_what_the_command_writes(one: Saved, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    run_predict(one.run, one.file, output, strict=False, keep=None)
    lines = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    found = loaded(one).predict(one.file)
    if isinstance(found[0], Forecast):
        rows = [row for forecast in found for row in forecast.rows()]
        assert_same(rows, [{name: line[name] for name in rows[0]} for line in lines])
        return
    names = {"class": "label", "output": "text", "text": ""}  # a column that is carried over
    assert len(found) == len(lines)
    for prediction, line in zip(found, lines, strict=True):
        said = {name: value for name, value in line.items() if names.get(name, name) in prediction._fields}
        assert said, line
        assert_same([getattr(prediction, names.get(name, name)) for name in said], list(said.values()))


def test_it_is_what_the_task_itself_records(one: Saved) -> None:
    model = loaded(one)
    examples = list(model.preprocessing.examples(model.preprocessing.read(str(one.file))))
    batch = model.preprocessing.collate([example.value for example in examples])
    with torch.inference_mode():
        records = one.task.records(batch, model.class_names)
    expected = [model.predictor.prediction(row, example.fields) for row, example in zip(records, examples, strict=True)]
    assert_same(model.predict(one.file), expected)


@pytest.mark.parametrize("path", ["", "model", "checkpoints/best.ckpt"])
def test_values_in_python_are_records_of_a_file_from_every_kind_of_folder(one: Saved, path: str) -> None:
    assert_same(seqmodels.load(one.run / path).predict(list(one.values)), loaded(one).predict(one.file))


def test_order_and_batches_change_nothing(one: Saved) -> None:
    model, values = loaded(one), list(one.values)
    together = model.predict(values)
    assert_same(model.predict(values[::-1], batch_size=2)[::-1], together)
    assert_same([model.predict([value])[0] for value in values], together)
    assert model.predict([]) == []


def test_the_predictor_has_the_options_of_the_task(one: Saved) -> None:
    found, expected = loaded(one).predictor, one.task.predictor
    assert type(found) is type(expected)
    for name in {field.name for field in fields(expected)} - {"model", "preprocessing", "interval"} | {"share"}:
        value, other = getattr(found, name, None), getattr(expected, name, None)
        assert value == other or list(value or ()) == list(other or ()), name


def test_every_task_has_a_predictor() -> None:
    known = {
        public_name(thing)
        for name in tasks.__all__
        if isinstance(thing := getattr(tasks, name), type) and issubclass(thing, tasks.Task) and thing is not tasks.Task
    }
    assert known == set(PREDICTORS)


def test_neither_lightning_nor_hydra_is_imported_and_nothing_is_unpickled(made: Callable[[str], Saved]) -> None:
    files = {str(path): str(made(kind).file) for kind in KINDS for path in (made(kind).run, made(kind).run / "model")}
    absent = {"lightning", "pytorch_lightning", "hydra", "omegaconf", "torchmetrics", "scipy", "pandas", "onnx"}
    absent |= {"sympy", "torch._dynamo"}  # a second or more, which torch itself takes for many a small thing
    program = (
        "import pickle, sys\n"
        "def refuse(*given, **options): raise AssertionError('unpickled')\n"
        "import seqmodels, torch\n"
        "pickle.load = pickle.loads = refuse\n"
        f"for path, file in {files!r}.items(): assert seqmodels.load(path).predict(file)\n"
        f"print(sorted({absent!r} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr


def test_a_table_is_read_as_its_file(classifier: Saved) -> None:
    class Frame:
        """What a DataFrame of pandas or polars has in common."""

        columns = ("text", "number")

        def __getitem__(self, name: str) -> list[Any]:
            return list(classifier.values) if name == "text" else [float("nan")] * len(classifier.values)

    model = loaded(classifier)
    assert_same(model.predict(Frame()), model.predict(classifier.file))
    arrow = pytest.importorskip("pyarrow")
    assert_same(model.predict(arrow.table({"text": classifier.values})), model.predict(classifier.file))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (7, "data must be a path, a table or a list of texts, arrays or records, got int"),
        ({"text": "a"}, "data must be a path, a table or a list .* got dict"),
        ([np.zeros((3, 2))], "the model reads texts, or records as dicts, got ndarray"),
        (["fine", ""], "item 2: text: there is no token to read, got ''"),
        ([{"words": "fine"}], "item 1: 'text' must be a text, the record has 'words'"),
        ("nowhere.csv", "nowhere.csv cannot be read"),
        ("a fine film", "a fine film cannot be read: there is no such file; a single text goes in a list"),
        ("fine " * 999, "a single text goes in a list"),
    ],
    ids=str,
)
def test_what_the_model_does_not_read_is_named(classifier: Saved, data: Any, reason: str) -> None:
    with pytest.raises((TypeError, ValueError), match=reason):
        loaded(classifier).predict(data)


def test_what_cannot_be_read_has_no_prediction_if_that_is_asked_for(classifier: Saved) -> None:
    found = loaded(classifier).predict(["fine", "", "dull"], strict=False)
    assert [prediction is None for prediction in found] == [False, True, False]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"beam": 2}, "beam= is for models that write texts"),
        ({"beem": 2}, "there is no option 'beem'; did you mean 'beam'"),
        ({"batch_size": 0}, "batch_size must be a positive whole number, got 0"),
        ({"probabilities": True}, "probabilities= is for taggers"),
        ({"format": "csv"}, "format='csv' is for files, got list"),
    ],
    ids=str,
)
def test_an_option_that_the_model_does_not_have_is_refused(
    classifier: Saved, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        loaded(classifier).predict(["fine"], **options)


def test_options_of_a_call_do_not_outlive_it(made: Callable[[str], Saved]) -> None:
    model = loaded(made("seq2seq"))
    greedy = model.predict(["fine film"])
    found = model.predict(["fine film"], beam=3, n_best=2, max_length=2)
    assert [len(prediction.candidates) for prediction in (*greedy, *found)] == [1, 2]
    assert model.predict(["fine film"]) == greedy
    assert model.generate("fine film") == greedy[0].text


def test_a_language_model_writes_the_same_for_a_seed_whole_or_in_pieces(made: Callable[[str], Saved]) -> None:
    model = loaded(made("language_modeling"))
    text = model.generate("fine ", length=11, seed=5)
    assert text == "fine " + "".join(model.stream("fine ", length=11, seed=5))
    assert text.startswith("fine ")
    assert model.generate("fine ", length=11, seed=6) != text
    first, second = model.samples("fine ", number=2, length=11)
    assert first != second
    with pytest.raises(ConfigError, match="length must be a positive whole number, got 0"):
        model.stream(length=0)
    with pytest.raises(ConfigError, match="generating has no option 'lenght'"):
        model.generate(lenght=3)


@pytest.mark.parametrize("kind", ["regression", "language_modeling"])
def test_steps_with_their_state_are_the_whole_sequence(kind: str, made: Callable[[str], Saved]) -> None:
    one = made(kind)
    model = loaded(one)
    values = [one.values[1], one.values[1]]
    inputs = values if kind == "regression" else [model.preprocessing.encode({"text": value}) for value in values]
    state, sequences = None, torch.stack(list(inputs))
    for step in range(sequences.shape[1]):
        output, state = model.step(sequences[:, step], state)
    if kind == "regression":
        assert_same(output[0].tolist(), list(model.predict([one.values[1]])[0].values.values()))
        return
    logits, _ = one.task.model(sequences)
    torch.testing.assert_close(output, logits[:, -1].log_softmax(-1), **TOLERANCE[torch.float32])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("tagging", "it is a Tagger, which reads no steps one after the other"),
        ("forecasting", "it is a DirectForecaster"),
        ("seq2seq", "EncoderDecoder, which reads no steps"),
        ("classification", "read a sequence in both directions"),
    ],
)
def test_a_model_without_steps_says_why(kind: str, reason: str, made: Callable[[str], Saved]) -> None:
    with pytest.raises(Refused, match=reason):
        loaded(made(kind)).step(torch.zeros(1, 1))


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("pooling=max", "its output is pooled over all steps (MaxPool)"),
        ("front=convolution", "its convolution reads several steps at once"),
        ("top=self_attention", "its SelfAttention reads all steps at once"),
    ],
)
def test_layers_that_need_more_than_a_step_are_named(override: str, reason: str, tmp_path: Path) -> None:
    one = texts(tmp_path, "text_csv", "label", *STEPWISE, override)
    assert reason in str(refuses_steps(one.task.model))


@pytest.mark.parametrize("x", [torch.zeros(2, 3), torch.tensor([0.5]), torch.tensor([999])], ids=str)
def test_a_step_of_another_kind_is_refused(x: torch.Tensor, tmp_path: Path) -> None:
    model = loaded(texts(tmp_path, "text_csv", "label", *STEPWISE))
    with pytest.raises(ValueError, match="must be"):
        model.step(x)
    assert model.step([1, 0]).output.sum(-1).tolist() == pytest.approx([1, 1])


def test_a_whole_batch_is_moved(one: Saved) -> None:
    preprocessing = loaded(one).preprocessing
    values = [example.value for example in preprocessing.examples(preprocessing.read(str(one.file)))]
    moved = on_device(preprocessing.collate(values), "meta")
    tensors = [part for part in moved[:2] if isinstance(part, torch.Tensor)]
    assert tensors
    assert all(part.device.type == "meta" for part in tensors)


def test_a_device_that_is_not_there_is_refused(classifier: Saved) -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        seqmodels.load(classifier.run, device="nonsense")


OWN = '''
from seqmodels.cells import GRUCell
from seqmodels.tasks import Classification

class OwnCell(GRUCell):
    """A cell of the user's own."""

class OwnTask(Classification):
    """A task of the user's own."""
'''


def test_a_cell_and_a_task_of_ones_own_are_loaded_if_their_modules_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_for_load.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SEQMODELS_ALLOW", "mine_for_load.*")
    own = [f"{part}._target_=mine_for_load.Own{part.title()}" for part in ("cell", "task")]
    one = texts(tmp_path, "text_csv", "label", *own)
    monkeypatch.delenv("SEQMODELS_ALLOW")
    with pytest.raises(TargetRefused, match="mine_for_load"):
        seqmodels.load(one.run)
    model = seqmodels.load(one.run, allow="mine_for_load.*")
    batch = model.preprocessing.collate([model.preprocessing.encode({"text": text}) for text in one.values])
    with torch.inference_mode():
        assert_same(model.predict(one.file), one.task.records(batch, model.class_names))
