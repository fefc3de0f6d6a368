"""A package, since others (torch-fidelity) install a package of the same name."""
