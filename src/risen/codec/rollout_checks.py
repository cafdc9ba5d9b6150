"""What cluster.yaml says of rolling, scaling and gates: the rules of single fields and the rules across fields.

Values as they are written (`10%`, `30m`) are turned into numbers here too. Opens no file: a gate's Job is read by
whoever is handed in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

from risen.codec.written import shown
from risen.codec.yaml_nodes import Document, Path, Plain, Problem, Problems, load
from risen.core.spec import Share, Strategy

Beside = Callable[[str], str]
"""The text of a file beside cluster.yaml. Raises OSError, UnicodeDecodeError."""
MOST = 200
"""No pool has more instances, so no share is larger."""
_UNITS = (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
"""With their milliseconds."""
_DURATION = re.compile(r"(?:(\d{1,5})h)?(?:(\d{1,5})m(?!s))?(?:(\d{1,6})s)?(?:(\d{1,6})ms)?")
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(/\S*)?")


# --- single fields ----------------------------------------------------------------------------------------
def share(value: object) -> object:
    """A number of instances or a share of a pool: `2`, `10%`."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST:
        return value
    if isinstance(value, str) and re.fullmatch(r"(0|[1-9]\d{0,2})%", value) and int(value[:-1]) <= 100:
        return value
    raise ValueError(
        f'must be a number of instances up to {MOST} or a share such as "10%", not {shown(value)}'
    )


def share_of(written: int | str) -> Share:
    """`2` is 2. `10%` is that share of the pool, and 1 where that is less: a share never rounds to none. `0%` is 0."""
    if isinstance(written, int):
        return Share(written)
    percent = int(written.removesuffix("%"))
    return Share(1, percent) if percent else Share(0)


def share_text(value: Share) -> str:
    """As it would be written."""
    return f"{value.percent}%" if value.percent else str(value.least)


def duration(least: str, most: str) -> Callable[[object], object]:
    """A check of durations such as `30m`, `1h30m` or `90s` between two of them."""

    def check(value: object) -> object:
        found = seconds_of(value) if isinstance(value, str) else None
        if found is None or not (seconds_of(least) or 0) <= found <= (seconds_of(most) or 0):
            raise ValueError(f"must be a duration from {least} to {most}, such as 30m, not {shown(value)}")
        return value

    return check


def seconds_of(text: str) -> float | None:
    """`1h30m` → 5400.0; None for what is no duration."""
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        return None
    return sum(int(found[i] or 0) * unit for i, (_, unit) in enumerate(_UNITS, 1)) / 1000


def duration_text(seconds: float) -> str:
    """`5400.0` → `1h30m`."""
    left, text = round(seconds * 1000), ""
    for name, unit in _UNITS:
        count, left = divmod(left, unit)
        text += f"{count}{name}" if count else ""
    return text or "0s"


def url(value: str) -> str:
    """An http or https URL."""
    if not _URL.fullmatch(value):
        raise ValueError(f"must be a URL such as http://web.default.svc/ready, not {shown(value)}")
    return value


# --- across fields ----------------------------------------------------------------------------------------
def check_strategies(document: Document) -> Iterator[Problem]:
    """Something must be allowed, or nothing ever rolls; a control plane is rolled by surge, one at a time."""
    for path, pool in pools_of(document):
        strategy = pool.get("strategy")
        if not isinstance(strategy, dict):
            continue
        surge = strategy.get("maxSurge", Strategy().max_surge.least)
        missing = strategy.get("maxUnavailable", Strategy().max_unavailable.least)
        at = (*path, "strategy")
        if pool.get("role") == "control-plane":
            yield from _check_control_plane(document, at, surge, missing)
        elif _is_none(surge) and _is_none(missing):
            where = (*at, "maxSurge") if "maxSurge" in strategy else at
            yield document.problem(
                where, "no instance more and none less: nothing could ever be rolled; let maxUnavailable be 1"
            )


def _check_control_plane(document: Document, at: Path, surge: object, missing: object) -> Iterator[Problem]:
    if surge != 1:
        yield document.problem(
            (*at, "maxSurge"),
            f"must be 1 for a control plane, not {shown(surge)}: members are replaced one at a time, each after "
            "its replacement votes",
        )
    if missing != 0:
        yield document.problem(
            (*at, "maxUnavailable"),
            f"must be 0 for a control plane, not {shown(missing)}: its replacement votes before a member leaves",
        )


def _is_none(value: object) -> bool:
    return value in (0, "0%") and not isinstance(value, bool)


def check_scaling(document: Document) -> Iterator[Problem]:
    """Either `replicas`, or `minReplicas` with `maxReplicas` for an autoscaler to choose between."""
    for path, pool in pools_of(document):
        least, most = pool.get("minReplicas"), pool.get("maxReplicas")
        bounds = [name for name in ("minReplicas", "maxReplicas") if pool.get(name) is not None]
        fixed = pool.get("replicas") is not None
        if not bounds:
            if not fixed:
                yield document.problem(
                    (*path, "replicas"),
                    "is required: how many instances; or minReplicas and maxReplicas for an autoscaler",
                )
            continue
        if pool.get("role") == "control-plane":
            yield document.problem(
                (*path, bounds[0]), "not for a control plane: write replicas of 1, 3 or 5", at_key=True
            )
        elif fixed:
            yield document.problem(
                (*path, "replicas"),
                f"stands beside {' and '.join(bounds)}: write one or the other",
                at_key=True,
            )
        elif len(bounds) == 1:
            other = "maxReplicas" if bounds == ["minReplicas"] else "minReplicas"
            yield document.problem((*path, bounds[0]), f"needs {other} beside it", at_key=True)
        elif isinstance(least, int) and isinstance(most, int) and least > most:
            yield document.problem((*path, "minReplicas"), f"{least} is more than maxReplicas {most}")


def check_gates(document: Document) -> Iterator[Problem]:
    """Each gate once by name, and each with one kind of check."""
    gates = document.at(("spec", "gates"))
    seen: set[str] = set()
    for index, gate in enumerate(gates if isinstance(gates, list) else ()):
        if not isinstance(gate, dict):
            continue
        path: Path = ("spec", "gates", index)
        if (gate.get("http") is None) == (gate.get("job") is None):
            yield document.problem(path, "one check each: either http: {url, status} or job: ./file.yaml")
        name = gate.get("name")
        if isinstance(name, str) and name in seen:
            yield document.problem((*path, "name"), f'a second gate named "{name}": choose another name')
        seen.add(str(name))


def check_jobs(beside: Beside, jobs: dict[str, str]) -> Callable[[Document], Iterator[Problem]]:
    """A check that reads the Job of each gate that has one into `jobs`, as JSON text by written path."""

    def check(document: Document) -> Iterator[Problem]:
        gates = document.at(("spec", "gates"))
        for index, gate in enumerate(gates if isinstance(gates, list) else ()):
            path = gate.get("job") if isinstance(gate, dict) else None
            if isinstance(path, str):
                found = _job_in(path, beside)
                if isinstance(found, dict):
                    jobs[path] = json.dumps(found, sort_keys=True)
                else:
                    yield document.problem(("spec", "gates", index, "job"), found)

    return check


def _job_in(path: str, beside: Beside) -> dict[str, Plain] | str:
    """The manifest, or what is wrong with it."""
    try:
        data = load(beside(path), path).data
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    except UnicodeDecodeError:
        return f"{path} cannot be read: it is no text in UTF-8"
    except Problems as problems:
        return f"{problems.problems[0]}"
    if not isinstance(data, dict) or (data.get("apiVersion"), data.get("kind")) != ("batch/v1", "Job"):
        return f"{path} must hold one Kubernetes Job (apiVersion: batch/v1, kind: Job)"
    spec = data.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("template"), dict):
        return f"{path} is a Job without spec.template: its pod is the check"
    return data


def pools_of(document: Document) -> list[tuple[Path, Mapping[str, object]]]:
    """Every pool that is a mapping, with its path."""
    pools = document.at(("spec", "pools"))
    if not isinstance(pools, list):
        return []
    return [(("spec", "pools", i), pool) for i, pool in enumerate(pools) if isinstance(pool, dict)]
