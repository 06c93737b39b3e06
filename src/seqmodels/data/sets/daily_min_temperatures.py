"""Daily minimum temperatures in Melbourne."""

from seqmodels.data.formats.files import github_file
from seqmodels.data.formats.series_table import CSVOptions
from seqmodels.data.series.source import PublishedSeries


class DailyMinTemperaturesData(PublishedSeries):
    """Daily minimum temperatures in Melbourne, 1981 to 1990, without the last days of leap years."""

    name = "daily_min_temperatures"
    folder = "univariate"
    files = (
        github_file(
            "jbrownlee/Datasets",
            "daily-min-temperatures.csv",
            "d20fcb6402ae34e653d4513b00f39257bb37ed7f",
            67921,
            "8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da",
        ),
    )
    citation = "Australian Bureau of Meteorology, as jbrownlee/Datasets has it"
    license = "not stated"
    options = CSVOptions(time="Date", gaps="allow")
