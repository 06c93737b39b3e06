"""Published sets of series, one file each; how they are windowed is an option of all of them."""

from abc import ABC
from typing import ClassVar

from seqmodels.data.files import DataFile, load, require
from seqmodels.data.forecasting import SeriesDataModule
from seqmodels.data.series_csv import Reading, Series, read_series

GITHUB = "https://raw.githubusercontent.com"


def _urls(repository: str, commit: str, branch: str, path: str) -> tuple[str, ...]:
    """Return the address of a file at the commit whose content is known, and on the branch where it lives."""
    return tuple(f"{GITHUB}/{repository}/{revision}/{path}" for revision in (commit, branch))


class PublishedSeriesData(SeriesDataModule, ABC):
    """A published file of series."""

    reading: Reading = Reading()

    def read(self, reading: Reading) -> Series:
        require(self.path, self.files)
        return read_series(load(self.path, self.files[0]), self.files[0].name, reading)


class ETTData(PublishedSeriesData):
    """ETTh1: the load and oil temperature of a transformer, 7 series, 17420 hours from July 2016.

    The customary parts are 12, 4 and 4 months of 30 days, 8640, 2880 and 2880 hours; the rest is not used. With 720
    hours read and 96 forecast these are 7825, 2785 and 2785 windows.
    """

    name = "ett"
    folder = "ett"
    files = (
        DataFile(
            "ETTh1.csv",
            2589657,
            "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
            _urls("zhouhaoyi/ETDataset", "1d16c8f4f943005d613b5bc962e9eeb06058cf07", "main", "ETT-small/ETTh1.csv"),
        ),
    )
    citation = (
        "H. Zhou et al. Informer: beyond efficient transformer for long sequence time-series forecasting. AAAI 2021. "
        "https://arxiv.org/abs/2012.07436"
    )
    license = "CC BY-ND 4.0"
    default_split: ClassVar[tuple[float, float, float]] = (8640, 2880, 2880)
    reading = Reading(time="date")


class ExchangeRateData(PublishedSeriesData):
    """Exchange rates of 8 countries (columns 0 to 7), 7588 days from 1990 to 2016, without dates.

    Parts of 70, 10 and 20 %, as Autoformer and its successors have them; LSTNet has ``split=[0.6, 0.2, 0.2]``.
    """

    name = "exchange_rate"
    folder = "exchange_rate"
    files = (
        DataFile(
            "exchange_rate.txt",
            546336,
            "0127465b51e3cd3c360f8eb2be30cfd294689a2a55903eb8245aafc396626c7f",
            _urls(
                "laiguokun/multivariate-time-series-data",
                "7f402f185cc2435b5e66aed13a3b560ed142e023",
                "master",
                "exchange_rate/exchange_rate.txt.gz",
            ),
        ),
    )
    citation = (
        "G. Lai et al. Modeling long- and short-term temporal patterns with deep neural networks. SIGIR 2018. "
        "https://arxiv.org/abs/1703.07015"
    )
    license = "not stated"
    reading = Reading(header=False)


class SunspotsData(PublishedSeriesData):
    """Sunspots of each year, 1700 to 2008."""

    name = "sunspots"
    folder = "sunspots"
    files = (
        DataFile(
            "sunspots.csv",
            2944,
            "f67889b1d9002cd5227f0e0ef54e35b419cdd85a31279adef6f73fb41e5c0a9b",
            _urls(
                "statsmodels/statsmodels",
                "82c59e378bdfb5ae324006c477954879ad3e24be",
                "main",
                "statsmodels/datasets/sunspots/sunspots.csv",
            ),
        ),
    )
    citation = "Yearly mean sunspot numbers; National Geophysical Data Center, as statsmodels has them"
    license = "public domain"
    reading = Reading(time="YEAR")


class StocksData(PublishedSeriesData):
    """Daily prices of a share (AAPL), 506 days of trade from February 2015 to February 2017."""

    name = "stocks"
    folder = "stocks"
    files = (
        DataFile(
            "finance-charts-apple.csv",
            60220,
            "24c7604edfd5afe862ddb9f9535e2fd7351f43711bfc442bca52055e15e37bcd",
            _urls("plotly/datasets", "0c447c47b757ad74edecab31f0d72f849d2e67c2", "master", "finance-charts-apple.csv"),
        ),
    )
    citation = "Apple, daily prices; plotly/datasets"
    license = "MIT"
    reading = Reading(time="Date", gaps="allow")  # days without trade


BROWNLEE = ("jbrownlee/Datasets", "d20fcb6402ae34e653d4513b00f39257bb37ed7f", "master")


class AirlinePassengersData(PublishedSeriesData):
    """Passengers of airlines, in thousands, of each month from 1949 to 1960; the last third is for the test."""

    name = "airline_passengers"
    folder = "univariate"
    files = (
        DataFile(
            "airline-passengers.csv",
            2180,
            "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621",
            _urls(*BROWNLEE, "airline-passengers.csv"),
        ),
    )
    citation = "G. E. P. Box and G. M. Jenkins. Time series analysis: forecasting and control. 1976, series G"
    license = "not stated"
    default_split: ClassVar[tuple[float, float, float]] = (72, 24, 48)
    reading = Reading(time="Month")


class DailyMinTemperaturesData(PublishedSeriesData):
    """The lowest temperature of each day in Melbourne, 1981 to 1990, less the last days of the leap years."""

    name = "daily_min_temperatures"
    folder = "univariate"
    files = (
        DataFile(
            "daily-min-temperatures.csv",
            67921,
            "8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da",
            _urls(*BROWNLEE, "daily-min-temperatures.csv"),
        ),
    )
    citation = "Australian Bureau of Meteorology, as jbrownlee/Datasets has it"
    license = "not stated"
    reading = Reading(time="Date", gaps="allow")


class MonthlySunspotsData(PublishedSeriesData):
    """Sunspots of each month, 1749 to 1983."""

    name = "monthly_sunspots"
    folder = "univariate"
    files = (
        DataFile(
            "monthly-sunspots.csv",
            45039,
            "c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3",
            _urls(*BROWNLEE, "monthly-sunspots.csv"),
        ),
    )
    citation = "D. F. Andrews and A. M. Herzberg. Data. Springer, 1985"
    license = "not stated"
    reading = Reading(time="Month")
