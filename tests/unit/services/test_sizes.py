"""`sizes.yml`: read again when it changes; a bad edit is named and changes nothing."""

import pytest

from ovcadmin.config import Settings
from ovcadmin.errors import SettingInvalid
from ovcadmin.services import sizes


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "sizes.yml"
    path.write_text("small:\n  vcpus: 2\n  memory: 262144\n  storage: 15 GB\n")
    return Settings(database_url="sqlite://", data_dir=tmp_path, sizes_file=path)


def shipped(tmp_path):
    return Settings(database_url="sqlite://", data_dir=tmp_path)


@pytest.mark.requirement("TPL-11")
def test_the_shipped_small_is_the_size_that_was_asked_for(tmp_path):
    small = sizes.get(shipped(tmp_path), "small")
    assert (small.vcpus, small.memory, small.storage) == (2, 262144, 15 * 10**9)


@pytest.mark.requirement("TPL-11")
def test_an_edit_adds_a_size_without_a_restart(settings):
    assert [size.name for size in sizes.listing(settings)] == ["small"]
    with settings.sizes_file.open("a") as file:
        file.write("big:\n  vcpus: 8\n  memory: 8 GiB\n  storage: 1 TB\n")
    assert [size.name for size in sizes.listing(settings)] == ["small", "big"]


@pytest.mark.requirement("TPL-11")
def test_a_bad_edit_keeps_the_last_good_sizes_and_says_where_it_is_bad(settings):
    sizes.listing(settings)
    settings.sizes_file.write_text("small:\n  vcpus: two\n  memory: 1\n  storage: 1\n")
    assert [size.name for size in sizes.listing(settings)] == ["small"]
    assert "line 2" in sizes.trouble(settings)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("- a\n- b", 1),
        ("a:\n  vcpus: 1\n  memory: 1 GiB\n", 1),
        ("a:\n  vcpus: 0\n  memory: 1 GiB\n  storage: 1 GB\n", 2),
        ("a:\n  vcpus: 1\n  memory: 1 GiB\n  storage: 1 GB\n  colour: red\n", 5),
        ("a: {vcpus: 1, memory: 1 GiB, storage: 1 GB}\na: {}\n", 2),
        ("a:\n  vcpus: [\n", 3),
        ("a:\n  vcpus: !!python/object:os.system 1\n", 1),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text, line):
    with pytest.raises(SettingInvalid, match=f"line {line}\\b"):
        sizes.parse(text, "sizes.yml")
