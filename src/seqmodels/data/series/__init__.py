"""Series of numbers: scaling, windows, forecasts."""
