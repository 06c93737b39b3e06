"""From a CSV file of your own to a forecast: train, compare with naive forecasts, predict what comes next, plot."""

# %% The file: a column with the time, a column with numbers. Put the path of yours here
import csv
import json
import math
import random
import tempfile
from datetime import date, timedelta
from pathlib import Path

from seqmodels.cli import run

folder = Path(tempfile.mkdtemp(prefix="forecast-"))
path, horizon = folder / "sales.csv", 12
random.seed(0)
weeks = [date(2020, 1, 6) + timedelta(weeks=week) for week in range(260)]
sales = [100 + 20 * math.sin(week / 2) + 10 * math.sin(week * 1.3) + random.gauss(0, 2) for week in range(260)]
with path.open("w", newline="") as file:
    csv.writer(file).writerows([("week", "sales"), *zip(weeks, sales, strict=True)])

# %% Train, as `seqmodels train data=csv_series data.path=sales.csv ...` does on the command line
options = {
    "data": "csv_series",
    "data.path": path,
    "data.time": "week",
    "data.target": "sales",
    "data.input_length": 36,
    "data.horizon": horizon,
    "cell": "gru",
    "cell.hidden_size": 16,
    "optimizer.lr": 0.02,
    "trainer": "cpu",
    "trainer.max_epochs": 30,
    "hydra.run.dir": folder / "run",
}
assert run(["train", *(f"{key}={value}" for key, value in options.items())]) == 0
metrics = json.loads((folder / "run" / "metrics.json").read_text())
error, naive = metrics["test/raw_mae"], metrics["test/persistence_raw_mae"]
print(f"mean absolute error: {error:.2f}; of repeating the last value: {naive:.2f}")
assert error < 0.5 * naive, "the network has not learned the season"

# %% Forecast the weeks after the end of the file
assert run(["predict", f"run={folder / 'run'}", f"input={path}", f"output={folder / 'forecast.jsonl'}"]) == 0
lines = [json.loads(line) for line in (folder / "forecast.jsonl").read_text().splitlines()]
times, forecast = [line["time"] for line in lines], [line["forecast"] for line in lines]
assert len(forecast) == horizon
assert times[0] == str(weeks[-1] + timedelta(weeks=1))

# %% Plot it, where plotly is installed
try:
    from plotly import graph_objects
except ImportError:
    print(list(zip(times, forecast, strict=True)))
else:
    figure = graph_objects.Figure([{"x": weeks[-60:], "y": sales[-60:], "name": "sales"}])
    figure.add_scatter(x=times, y=forecast, name="forecast").write_html(folder / "forecast.html")
    print("plot:", folder / "forecast.html")
