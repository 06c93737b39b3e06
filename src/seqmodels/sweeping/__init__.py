"""Hyperparameter search with optuna: one study, shared by any number of processes.

Nothing here depends on Hydra: a trial is a list of overrides and a folder, passed to a function that trains.
"""
