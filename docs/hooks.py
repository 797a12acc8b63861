"""What the site shows of the files that stand beside `docs/`: the changelog and how to contribute."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_BESIDE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them, with links as they are from within `docs/`."""
    root = Path(config.config_file_path).parent
    for source, page in _BESIDE.items():
        text = re.sub(r"\]\(docs/", "](", (root / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    return files
