"""Monthly airline passengers."""

from seqmodels.data.formats.files import github_file
from seqmodels.data.formats.series_table import CSVOptions
from seqmodels.data.series.source import PublishedSeries


class AirlinePassengersData(PublishedSeries):
    """Monthly airline passengers in thousands, 1949 to 1960; the last third is the test split."""

    name = "airline_passengers"
    folder = "univariate"
    files = (
        github_file(
            "jbrownlee/Datasets",
            "airline-passengers.csv",
            "d20fcb6402ae34e653d4513b00f39257bb37ed7f",
            2180,
            "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621",
        ),
    )
    citation = "G. E. P. Box and G. M. Jenkins. Time series analysis: forecasting and control. 1976, series G"
    license = "not stated"
    default_split = (72, 24, 48)
    options = CSVOptions(time="Month")
