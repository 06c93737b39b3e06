"""What a trained network predicts, as plain data: each task has its predictor, which needs no Lightning."""
