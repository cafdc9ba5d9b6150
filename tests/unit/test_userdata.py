"""User data: real cloud-config, small, with nothing in it that a shell or a YAML 1.1 reader could misread."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from risen.core.names import ClusterUid, InstanceName, PoolName
from risen.instance.userdata.cloud_config import (
    LIMIT_BYTES,
    UserData,
    UserDataRefused,
    render_cloud_config,
    render_meta_data,
)

DATA = UserData(
    InstanceName("worker-bcdfg"), PoolName("worker"), ClusterUid("0e8"), "https://10.77.0.1:9443/",
    ("sha256:" + "a" * 64, "b" * 64), "dGlja2V0+/=",
)  # fmt: skip


def test_a_yaml_1_1_reader_finds_the_identity_file_with_one_value_a_line() -> None:
    rendered = render_cloud_config(DATA)
    assert rendered.startswith(b"#cloud-config\n")
    (written,) = yaml.safe_load(rendered)["write_files"]
    assert (written["path"], written["permissions"]) == ("/etc/risen/identity", "0600")
    assert dict(line.split("=", 1) for line in written["content"].splitlines()) == {
        "INSTANCE": "worker-bcdfg",
        "POOL": "worker",
        "CLUSTER": "0e8",
        "JOIN_URL": "https://10.77.0.1:9443",
        "AUTHORITY": "a" * 64 + "," + "b" * 64,
        "TICKET": "dGlja2V0+/=",
    }


def test_it_is_far_below_the_smallest_limit_of_a_cloud() -> None:
    assert len(render_cloud_config(DATA)) * 10 < LIMIT_BYTES


def test_what_is_over_the_limit_is_refused_with_its_size() -> None:
    with pytest.raises(UserDataRefused, match=r"17\d\d\d bytes; the smallest limit is 16384"):
        render_cloud_config(replace(DATA, ticket="t" * 17_000))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(DATA, ticket="two\nlines"),
        replace(DATA, ticket=""),
        replace(DATA, join_url="http://10.77.0.1:9443"),
        replace(DATA, join_url="https://a b"),
        replace(DATA, authority_digests=()),
        replace(DATA, authority_digests=("abc",)),
        replace(DATA, authority_digests=("a" * 64 + "," + "b" * 64,)),
    ],
    ids=["line-break", "empty", "no-tls", "space", "no-digest", "short-digest", "two-digests-in-one"],
)
def test_a_value_that_the_join_script_would_misread_is_refused(wrong: UserData) -> None:
    with pytest.raises(UserDataRefused):
        render_cloud_config(wrong)


def test_the_metadata_names_the_instance_by_its_never_reused_name() -> None:
    assert yaml.safe_load(render_meta_data(InstanceName("worker-bcdfg"))) == {
        "instance-id": "worker-bcdfg",
        "local-hostname": "worker-bcdfg",
    }


def test_a_ticket_is_not_shown_where_user_data_is_printed() -> None:
    assert DATA.ticket not in repr(DATA)
