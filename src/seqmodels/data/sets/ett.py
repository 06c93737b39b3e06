"""Hourly load and oil temperature of a transformer."""

from seqmodels.data.formats.files import github_file
from seqmodels.data.formats.series_table import CSVOptions
from seqmodels.data.series.source import PublishedSeries


class ETTData(PublishedSeries):
    """ETTh1: the load and oil temperature of a transformer, 7 series, 17420 hours from July 2016.

    The standard splits are 12, 4 and 4 months of 30 days, 8640, 2880 and 2880 hours; the rest is unused. With 720 input
    hours and a horizon of 96, these are 7825, 2785 and 2785 windows.
    """

    name = "ett"
    folder = "ett"
    files = (
        github_file(
            "zhouhaoyi/ETDataset",
            "ETT-small/ETTh1.csv",
            "1d16c8f4f943005d613b5bc962e9eeb06058cf07",
            2589657,
            "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
            branch="main",
        ),
    )
    citation = (
        "H. Zhou et al. Informer: beyond efficient transformer for long sequence time-series forecasting. AAAI 2021. "
        "https://arxiv.org/abs/2012.07436"
    )
    license = "CC BY-ND 4.0"
    default_split = (8640, 2880, 2880)
    options = CSVOptions(time="date")
