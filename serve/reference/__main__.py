"""`python -m serve.reference`: write every page; with `--check`, say which are not what the code says."""

import sys

from serve.reference.pages import FOLDER, PAGES


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; the exit status."""
    stale = []
    for name, page in PAGES.items():
        file, text = FOLDER / name, page()
        if arguments == ["--check"]:
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            file.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"run python -m serve.reference: not what the code says: {', '.join(stale)}\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
