"""The cells that are compared, and what they are trained on."""

from typing import NamedTuple

CELLS = {
    "elman, tanh": "cell=elman cell.activation=tanh",
    "elman, relu": "cell=elman cell.activation=relu",
    "concat_linear": "cell=concat_linear",
    "jordan": "cell=jordan",
    "lstm": "cell=lstm",
    "lstm_no_output_gate": "cell=lstm_no_output_gate",
    "gru": "cell=gru",
    "gru_reset_after": "cell=gru_reset_after",
    "forget_input": "cell=forget_input",
    "forget_input_output": "cell=forget_input_output",
}
UNITS = 48  # of the LSTM that the others are as large as
RATES = (0.002, 0.008)
TIME = 100  # steps of the adding problem


class Task(NamedTuple):
    """What is trained on, and what counts."""

    title: str
    options: str
    sizes: dict[str, int]
    metric: str
    unit: str


TASKS = {
    "japanese_vowels": Task(
        "who speaks (7 to 29 steps)",
        "data=japanese_vowels data.batch_size=16 model=classifier front=none pooling=last trainer.max_epochs=40",
        {"input_size": 12, "output_size": 9},
        "test/accuracy",
        "accuracy",
    ),
    "parity": Task(
        "parity, trained to 40 bits, tested at 256",
        "data=parity data.max_length=40 data.test_min_length=256 data.test_max_length=256 "
        "data.train_rows=20000 data.batch_size=128 trainer.max_epochs=12",
        {"input_size": 1, "output_size": 2},
        "test/accuracy",
        "accuracy",
    ),
    "adding": Task(
        f"adding two of {TIME} numbers",
        f"data=adding data.time={TIME} data.train_rows=16000 data.batch_size=64 trainer.max_epochs=8",
        {"input_size": 2, "output_size": 1},
        "test/loss",
        "squared error (always answering 1: .167)",
    ),
}
