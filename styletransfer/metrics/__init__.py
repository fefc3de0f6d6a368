"""Metrics as pure functions of features; see `styletransfer.scoring` for who computes those."""
