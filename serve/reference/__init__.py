"""The pages of the reference, made from what runs: `python -m serve.reference` writes them into `docs/`."""
