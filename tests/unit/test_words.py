"""Plain words: texts, comments, messages and names avoid words that a reader who learned English later must look up.

`WORDS` lists what is refused, with what to write instead. A few lines in `QUOTED` may use such a word, because it is
another program's or the word has its usual meaning there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Pattern -> what to write instead.
WORDS = {
    r"mend(s|ed|ing)?": "fix",
    r"to be had": "available",
    r"besides": "also, in addition, apart from, other",
    r"who(m)?ever": "name the actor: the server that, the process that, any user who",
    r"(whence|hitherto|henceforth|heretofore|thereof|whereof|therein|wherein|thereby|whereby|forthwith|upon|unto|lest)": (
        "from where, until now, from now on, of it, in it, by it, at once, on, so that ... not"
    ),
    r"(shall|ought|deem(s|ed)?)": "must, should, consider",
    r"(bear|bears|bore|borne)": "support, allow, work after: a package that cannot be forked",
    r"born": "started, created, forked",
    r"told": "reported, passed, configured, said; and by whom",
    r"tells? (of|apart)": "reports; distinguishes",
    r"nobody('s)?": "name the one who does not: no client, no server; or: unknown, unowned",
    r"(anew|afresh)": "again; new",
    r"(as yet|of old|by and by|in vain|of late)": "yet, old, later, without result, recently",
    r"for ever": "forever, without limit",
    r"(?<!here )is no(?= (?!longer|more|such|one|need|way)[a-z`'])": "is not a",
    r"puts? right": "correct, repair",
    r"seats?": "lease",
    r"all the same": "anyway, still; the same",
    r"for want of": "because there is no",
    r"in (its|their|his) stead": "instead",
    r"otherwise than": "different from, not as",
    r"(whatever|what) (became|becomes|has become) of": "however ... ended",
    r"save for": "except",
    r"thus": "so",
}

#: Part of a line -> a refused word may stand in it.
QUOTED = frozenset({"told=_said(reason)", 'told: "",', "there (?:is no version|are no versions) of", "told: str = "})

#: Rooms that still have such words -> who will rewrite them. Strike a room off when it is clean.
NOT_YET: dict[str, str] = {}


_REFUSED = [(re.compile(rf"(?<![a-zA-Z]){word}(?![a-zA-Z])", re.IGNORECASE), plain) for word, plain in WORDS.items()]
#: Any of them: a file without one is read no further.
_ANY = re.compile("|".join(pattern.pattern for pattern, _ in _REFUSED), re.IGNORECASE)
#: Where each room's texts are; files directly below the package are the room "headrace".
_GENERATED = {"ui/src/api/schema.ts"}


def rooms() -> dict[str, list[Path]]:
    package = ROOT / "src/headrace"
    found = {
        folder.name: sorted(folder.rglob("*.py")) for folder in package.iterdir() if (folder / "__init__.py").exists()
    }
    found["headrace"] = sorted(package.glob("*.py"))
    found["docs"] = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
    found["ui"] = sorted([*(ROOT / "ui/src").rglob("*.ts"), *(ROOT / "ui/src").rglob("*.tsx")])
    return found


def refused(path: Path) -> Iterator[str]:
    """`file:line: word -> what to write instead`."""
    text = path.read_text(encoding="utf-8")
    if _ANY.search(text) is None:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if _ANY.search(line) is None or any(part in line for part in QUOTED):
            continue
        for pattern, plain in _REFUSED:
            for match in pattern.finditer(line):
                yield f"{path.relative_to(ROOT)}:{number}: {match[0].strip()!r} -> {plain}"


@pytest.mark.parametrize("room", sorted(rooms()))
def test_a_room_uses_plain_words(room: str) -> None:
    if room in NOT_YET:
        pytest.skip(f"not yet: {NOT_YET[room]}")
    found = [hit for path in rooms()[room] if str(path.relative_to(ROOT)) not in _GENERATED for hit in refused(path)]
    assert not found, "\n".join(["Write it in plain words:", *found])


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("Mended? Then retry.", "'Mended'"),
        ("'4 gigs' is no quantity", "'is no'"),
        ("def _told(self): ...", "'told'"),
        ("a run that is nobody's", '"nobody\'s"'),
        ("the process waits for ever", "'for ever'"),
    ],
)
def test_a_refused_word_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, word: str) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "page.md").write_text(f"# Title\n\n{line}\n")
    assert [hit.split(" -> ")[0] for hit in refused(tmp_path / "page.md")] == [f"page.md:3: {word}"]


@pytest.mark.parametrize(
    "line", ["There is no such run.", "if there is no server", "a gold toldo", "it is no longer read"]
)
def test_an_ordinary_line_is_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "page.md").write_text(line)
    assert list(refused(tmp_path / "page.md")) == []
