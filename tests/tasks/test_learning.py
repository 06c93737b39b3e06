"""Small tasks can be learnt, which a defective network would not do."""

from seqmodels.data import AddingData, DigitsData, ParityData
from tests.datasets import ready
from tests.tasks.small import classification, regression, trainer


def test_an_lstm_learns_the_parity_of_up_to_five_bits() -> None:
    data = ready(ParityData, max_length=5, train_rows=1000, val_rows=62, test_rows=300, batch_size=32)
    model = classification(data, lr=2e-2, hidden=24)
    runner = trainer(max_epochs=12)
    runner.fit(model, data)
    (metrics,) = runner.test(model, data, verbose=False)
    assert metrics["test/accuracy"] >= 0.98


def test_a_gru_learns_to_add_two_marked_numbers() -> None:
    data = ready(AddingData, time=6, train_rows=2000, val_rows=100, test_rows=300, batch_size=32)
    model = regression(data, hidden=32)
    runner = trainer(max_epochs=8)
    runner.fit(model, data)
    (metrics,) = runner.test(model, data, verbose=False)
    assert metrics["test/r2"] >= 0.95  # a constant answer has 0


def test_an_lstm_learns_digits() -> None:
    data = ready(DigitsData)
    model = classification(data, lr=1e-2, hidden=64)
    runner = trainer(max_epochs=5)
    runner.fit(model, data)
    (metrics,) = runner.test(model, data, verbose=False)
    assert metrics["test/accuracy"] >= 0.92
