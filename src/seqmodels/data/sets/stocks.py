"""Daily stock prices."""

from seqmodels.data.formats.files import github_file
from seqmodels.data.formats.series_table import CSVOptions
from seqmodels.data.series.source import PublishedSeries


class StocksData(PublishedSeries):
    """Daily prices of AAPL, 506 trading days from February 2015 to February 2017."""

    name = "stocks"
    folder = "stocks"
    files = (
        github_file(
            "plotly/datasets",
            "finance-charts-apple.csv",
            "0c447c47b757ad74edecab31f0d72f849d2e67c2",
            60220,
            "24c7604edfd5afe862ddb9f9535e2fd7351f43711bfc442bca52055e15e37bcd",
        ),
    )
    citation = "Apple, daily prices; plotly/datasets"
    license = "MIT"
    options = CSVOptions(time="Date", gaps="allow")  # non-trading days
