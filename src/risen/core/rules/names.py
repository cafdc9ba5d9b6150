"""New instance names out of the suffixes drawn before the decision. A name that ever was is never given again."""

from __future__ import annotations

from collections.abc import Iterator

from risen.core.names import InstanceName, PoolName
from risen.core.rules.view import View


def fresh_names(view: View, pool: PoolName, skip: int = 0) -> Iterator[InstanceName]:
    """`POOL-xxxxx`, from the suffix after the first `skip` on."""
    facts = view.facts
    taken: set[str] = set(facts.history.lives)
    taken |= {entry.subject for entry in facts.history.entries.values()}
    taken |= {bootstrap.founder for bootstrap in facts.history.bootstraps}
    taken |= set(facts.ours) | {seen.name for seen in facts.foreign} | set(facts.nodes)
    for suffix in view.supplies.suffixes[skip:]:
        name = InstanceName(f"{pool}-{suffix}")
        if name not in taken:
            taken.add(name)
            yield name
