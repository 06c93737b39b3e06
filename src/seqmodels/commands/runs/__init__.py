"""``seqmodels runs``: tables of runs, and their deletion."""
