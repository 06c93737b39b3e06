"""The report of a run, or of several to compare: one page that fetches nothing."""
