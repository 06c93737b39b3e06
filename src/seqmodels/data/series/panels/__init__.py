"""Panels: many series that one model forecasts, from the tables of their files."""
