"""Times of series: parsing, time zones, the frequency of the rows."""
