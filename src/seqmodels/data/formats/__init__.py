"""File format readers, independent of any data set."""
