"""Series and classes from your own ``.ts`` or ``.arff`` files."""

from seqmodels.data.labelled.series_source import SeriesFiles


class TSFileData(SeriesFiles):
    """Series with one class each, as in the UCR and UEA archives; options as for all files of series."""

    name = "ts_file"
    target_kind = "classification"
