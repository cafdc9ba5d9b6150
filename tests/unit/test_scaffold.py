"""What `risen init` writes is valid, commented truly, and never in place of what is there."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from risen.cli.init import init
from risen.codec.cluster_changes import compare
from risen.codec.cluster_yaml import parse_cluster
from risen.codec.scaffold import Scaffold, cluster_yaml_text


def test_the_scaffold_reads_back_as_what_was_asked_for() -> None:
    spec = parse_cluster(cluster_yaml_text(Scaffold("lab", 1, 4, "10.80.0.0/24")), "cluster.yaml")
    assert (spec.name, spec.provider.subnet) == ("lab", "10.80.0.0/24")
    assert [(pool.name, pool.replicas) for pool in spec.pools] == [("control-plane", 1), ("worker", 4)]


def test_what_the_comments_call_default_is_the_default() -> None:
    text = cluster_yaml_text(Scaffold())
    shown, defaults = text.split("  # --- default ---\n")
    written_out = shown + re.sub(r"^  # ", "  ", defaults, flags=re.MULTILINE)
    assert compare(parse_cluster(text, "f"), parse_cluster(written_out, "f")) == ()
    assert "podSubnet: 10.244.0.0/16" in written_out


def test_every_commented_field_of_the_scaffold_is_a_field() -> None:
    written = cluster_yaml_text(Scaffold())
    assert not re.search(r"\S# ", written), "a remark stands apart from what it is about"
    text = re.sub(r"^(\s+)# (?!---)", r"\1", written, flags=re.MULTILINE)
    login = '{"auths": {"registry.example.com": {"auth": "YTpi"}}}'
    spec = parse_cluster(text, "cluster.yaml", lambda path: {"./registry.json": login}[path])
    assert spec.cert_sans == ("api.example.com",)
    assert spec.registries == ("registry.example.com",)
    assert spec.pools[1].labels == (("tier", "general"),)


def test_init_writes_two_files_and_names_the_next_command(tmp_path: Path) -> None:
    result = CliRunner().invoke(init, ["--name", "lab", str(tmp_path / "new folder")])
    assert result.exit_code == 0, result.output
    assert parse_cluster((tmp_path / "new folder" / "cluster.yaml").read_text(), "f").name == "lab"
    assert (tmp_path / "new folder" / "recipe.yaml").read_text().startswith("#")
    assert f'next    cd "{tmp_path}/new folder" && risen up' in result.output


def test_init_never_overwrites_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("mine")
    result = CliRunner().invoke(init, [str(tmp_path)])
    assert result.exit_code == 0
    assert (tmp_path / "cluster.yaml").read_text() == "mine"
    assert "cluster.yaml (there already, not changed)" in result.output
    assert (tmp_path / "recipe.yaml").exists()


def test_init_refuses_what_cannot_rise_before_it_writes(tmp_path: Path) -> None:
    result = CliRunner().invoke(init, ["--name", "Dev", "--control-plane", "2", str(tmp_path)])
    assert result.exit_code == 2
    assert '"Dev" is no DNS label' in result.output
    assert "must be 1, 3 or 5" in result.output
    assert list(tmp_path.iterdir()) == []


def test_init_says_what_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(init, [str(tmp_path / "file" / "below")])
    assert result.exit_code == 1
    assert f"cannot write {tmp_path}/file/below: Not a directory" in result.output
