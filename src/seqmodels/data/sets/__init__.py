"""The catalogue: data set names, as used by modules and ``data=``, and their classes."""

SETS = {
    "digits": "DigitsData",
    "mnist": "MNISTData",
    "parity": "ParityData",
    "adding": "AddingData",
    "japanese_vowels": "JapaneseVowelsData",
    "ucr_uea": "UCRUEAData",
    "jsb_chorales": "JSBChoralesData",
    "copy_memory": "CopyMemoryData",
    "sst2": "SST2Data",
    "imdb": "IMDBData",
    "ag_news": "AGNewsData",
    "names": "NamesData",
    "python_docs": "PythonDocsData",
    "tiny_shakespeare": "TinyShakespeareData",
    "ptb": "PTBData",
    "imdb_text": "IMDBTextData",
    "ett": "ETTData",
    "exchange_rate": "ExchangeRateData",
    "sunspots": "SunspotsData",
    "stocks": "StocksData",
    "airline_passengers": "AirlinePassengersData",
    "daily_min_temperatures": "DailyMinTemperaturesData",
    "monthly_sunspots": "MonthlySunspotsData",
}
OWN_FILES = {
    "text": "TextData",
    "text_csv": "TextCSVData",
    "text_csv_multilabel": "TextCSVMultilabelData",
    "text_folder": "TextFolderData",
    "ts_file": "TSFileData",
    "ts_file_regression": "TSFileRegressionData",
    "csv_series": "CSVSeriesData",
    "idx": "IDXData",
    "hf_text": "HuggingFaceText",
}
"""Readers for your own files."""
