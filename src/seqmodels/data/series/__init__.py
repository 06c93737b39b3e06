"""Numeric series: scaling, windows, forecasting."""
