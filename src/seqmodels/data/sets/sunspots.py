"""Yearly sunspots."""

from seqmodels.data.formats.files import github_file
from seqmodels.data.formats.series_table import CSVOptions
from seqmodels.data.series.source import PublishedSeries


class SunspotsData(PublishedSeries):
    """Yearly sunspot numbers, 1700 to 2008."""

    name = "sunspots"
    folder = "sunspots"
    files = (
        github_file(
            "statsmodels/statsmodels",
            "statsmodels/datasets/sunspots/sunspots.csv",
            "82c59e378bdfb5ae324006c477954879ad3e24be",
            2944,
            "f67889b1d9002cd5227f0e0ef54e35b419cdd85a31279adef6f73fb41e5c0a9b",
            branch="main",
        ),
    )
    citation = "Yearly mean sunspot numbers; National Geophysical Data Center, as statsmodels has them"
    license = "public domain"
    options = CSVOptions(time="YEAR")
