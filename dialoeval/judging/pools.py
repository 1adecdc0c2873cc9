"""Pools: several rated systems under one name, as DSTC7 reported two teams with the same replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dialoeval.errors import UserError, nearest
from dialoeval.judging.judgments import Judgment, Judgments, StudyKind


def parse_pools(texts: Sequence[str], systems: Sequence[str]) -> dict[str, str]:
    """Return {system: name of its pool} of entries such as ``TeamCE+TeamEC=Team C/E``.

    Raises:
        UserError: an entry is malformed, names an unknown system, or names a system twice.
    """
    pools: dict[str, str] = {}
    for text in texts:
        names, equals, pool = text.partition("=")
        members = [name.strip() for name in names.split("+")]
        if not equals or not pool.strip() or not all(members):
            raise UserError(f"--pool {text}: expected SYSTEM+SYSTEM=NAME, such as TeamCE+TeamEC=Team C/E")
        for name in members:
            if name not in systems:
                raise UserError(f"--pool {text}: no system {name!r}{nearest(name, systems)} ({', '.join(systems)})")
            if name in pools:
                raise UserError(f"--pool {text}: {name} is in two pools")
            pools[name] = pool.strip()
    return pools


def pooled(judgments: Judgments, pools: Mapping[str, str]) -> Judgments:
    """Return the ratings with the systems of each pool under one name: a context then has more judgments of it.

    Raises:
        UserError: the judgments are of pairs, which a pool would compare with itself.
    """
    if not pools:
        return judgments
    if judgments.kind == StudyKind.pairwise:
        raise UserError("--pool is for ratings: a pair of two systems of one pool would compare it with itself")
    changed: list[Judgment] = []
    for row in judgments.rows:
        name = pools.get(row.systems[0])
        changed.append(row if name is None else replace(row, systems=(name,)))
    systems = tuple(dict.fromkeys(pools.get(system, system) for system in judgments.systems))
    notes = tuple(
        f"{pool} pools {' and '.join(system for system, to in pools.items() if to == pool)}, context by context"
        for pool in dict.fromkeys(pools.values())
    )
    return replace(judgments, systems=systems, rows=changed, notes=(*judgments.notes, *notes))
