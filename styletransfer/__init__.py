"""The scoring core: style transfer losses, feature networks, generators; no Django, no Celery.

This module imports nothing, so that `values`, `errors` and `manifest` stay free of torch.
"""
