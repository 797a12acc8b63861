"""What the site shows of the files beside `docs/`, and how links read there."""

import re
from os.path import normpath
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_BESIDE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
_MARK = re.compile(r'^( *```+[^\n]*?) notest="[^"]*"', re.MULTILINE)
_SHORT_CODE = re.compile(r"<code>([^<\n]*)</code>")
_OPTION = re.compile(r"(?<!\S)--?[a-z][\w-]*")
_NAMED_BY_FILE = re.compile(r"\[(?P<name>[\w/-]+\.md)\]\((?P<target>[^)#]+\.md)(?P<anchor>#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the changelog and how to contribute, with links as they are from within `docs/`."""
    root = Path(config.config_file_path).parent
    for source, page in _BESIDE.items():
        text = re.sub(r"\]\(docs/", "](", (root / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """A link that is named by its file, as is usual in a repository, is named by its page's title here; marks for tests go."""
    here = Path(page.file.src_uri).parent

    def titled(link: re.Match[str]) -> str:
        target = files.get_file_from_path(normpath(here / link["target"]))
        first = target.content_string.split("\n", 1)[0] if target else ""
        title = first.removeprefix("# ") if first.startswith("# ") else link["name"]
        return f"[{title}]({link['target']}{link['anchor'] or ''})"

    return _NAMED_BY_FILE.sub(titled, without_marks(markdown))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """An option of a command stays on one line: a browser would break it after its hyphens."""
    return _SHORT_CODE.sub(lambda code: f"<code>{whole_options(code[1])}</code>", html)


def whole_options(code: str) -> str:
    """With each option in a span that is not broken (assets/site.css)."""
    return _OPTION.sub(lambda option: f'<span class="whole">{option[0]}</span>', code)


def without_marks(markdown: str) -> str:
    """Without what fences say to tests: why a block is not run by one."""
    return _MARK.sub(r"\1", markdown)
