"""`dialoeval judge serve`: the page for judges."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.judging.server import Links


def main(arguments: Sequence[str]) -> int:
    """Serve a study until Ctrl-C, then write its judgments."""
    options = _parser().parse_args(arguments)
    from dialoeval.errors import UserError
    from dialoeval.judging.export import export
    from dialoeval.judging.items import find_study, load_study
    from dialoeval.judging.server import Serving, serve
    from dialoeval.serving.server import LOOPBACK, PLAIN_HTTP

    if options.judges < 0 or not 0 <= options.port < 65536:
        raise UserError("--judges must be 0 or more, --port from 0 to 65535")
    study = load_study(find_study(options.study, options.studies_dir))
    names = [*options.judge, *(f"judge{i + 1}" for i in range(options.judges))]
    serving = Serving(
        options.host, options.port, names, options.new_link, options.allow_host, options.public_url and
        options.public_url.rstrip("/"),
    )  # fmt: skip
    if options.host not in LOOPBACK:
        print(f"warning: {PLAIN_HTTP}")
    serve(study, serving, _announce)
    read, files = export(study)
    people = {row.judge for row in read.rows if row.standing != "automatic"}
    print(f"{len(read.rows)} answers of {len(people)} judges; written: {', '.join(map(str, files))}")
    return 0


def _announce(links: Links) -> None:
    for name, link in links.judges.items():
        print(f"{name}  {link}")
    if links.judges:
        print("Each judge has a link, shown this once (--new-link NAME makes another).")
    else:
        print(f"{links.known} judges have their links; --judge NAME adds one, --new-link NAME makes another link.")
    if links.known < links.wanted:
        print(
            f"note: {links.known} judges, and each item asks for {links.wanted}: add more, or no item will be complete"
        )
    print(f"organiser  {links.organiser}")
    print(f"serving {links.url} (Ctrl-C ends it and writes the judgments)", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dialoeval judge serve",
        description="Serve a study to judges. Every answer is on the disk before the page moves on; the command can be "
        "killed and started again at any time.",
    )
    add = parser.add_argument
    add("study", metavar="STUDY", help="a study's folder, or its name in the studies folder")
    add("--judge", action="append", default=[], metavar="NAME", help="add a judge; may be repeated")
    add("--judges", type=int, default=0, metavar="N", help="add judge1 to judgeN")
    add("--new-link", action="append", default=[], metavar="NAME", help="another link for a judge; the old one ends")
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--port", type=int, default=8765, help="or the next free one")
    add("--allow-host", action="append", default=[], metavar="NAME", help="host name of a tunnel or proxy")
    add("--public-url", metavar="URL", help="how judges reach the server, for the links")
    add("--studies-dir", default="studies", metavar="DIR")
    return parser
