"""What keeps a site running: checks, probes, figures, logs, copies."""
