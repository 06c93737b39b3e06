"""Monthly sunspots."""

from seqmodels.data.formats.files import github_file
from seqmodels.data.formats.series_table import CSVOptions
from seqmodels.data.series.source import PublishedSeries


class MonthlySunspotsData(PublishedSeries):
    """Monthly sunspot numbers, 1749 to 1983."""

    name = "monthly_sunspots"
    folder = "univariate"
    files = (
        github_file(
            "jbrownlee/Datasets",
            "monthly-sunspots.csv",
            "d20fcb6402ae34e653d4513b00f39257bb37ed7f",
            45039,
            "c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3",
        ),
    )
    citation = "D. F. Andrews and A. M. Herzberg. Data. Springer, 1985"
    license = "not stated"
    options = CSVOptions(time="Month")
