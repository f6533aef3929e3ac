"""Exports in the user's cache: made once, made again when they no longer fit."""

import threading

import pytest
from filelock import FileLock
from nano import make_nano

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export import cached, manifest, write
from worldmodel_env.imagination.export.cached import cached_export, export_folder, is_cached


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_it_is_made_once(quick, cache, nano, options, capsys):
    assert not is_cached(nano, options)
    first = cached_export(nano, options)
    assert is_cached(nano, options)
    assert "exporting world 'nano' to ONNX" in capsys.readouterr().err
    assert cached_export(nano, options) == first
    assert capsys.readouterr().err == ""
    assert first.folder.is_relative_to(cache)


@pytest.mark.parametrize("cause", ["stale", "damaged", "cut short"])
def test_it_is_made_again(quick, cache, nano, options, capsys, monkeypatch, cause):
    export = cached_export(nano, options)
    if cause == "stale":
        monkeypatch.setattr(manifest, "code_digest", lambda: "1" * 64)
        assert not is_cached(nano, options)
    elif cause == "damaged":
        export.file("step").write_bytes(b"")
    else:
        (export.folder / ".export-killed").mkdir()
        (export.folder / manifest.MANIFEST).unlink()
    capsys.readouterr()
    cached_export(nano, options)
    assert "exporting world" in capsys.readouterr().err
    assert is_cached(nano, options)
    assert len(list(export.folder.iterdir())) == 6


def test_other_options_are_another_folder(nano, options, cache):
    from dataclasses import replace

    folders = {
        export_folder(world, chosen)
        for world in (nano, replace(nano, digest="0" * 64))
        for chosen in (options, replace(options, precision="fp16"), replace(options, batch=2))
    }
    assert len(folders) == 6


def test_a_second_process_waits_for_the_first(quick, cache, nano, options, capsys, monkeypatch):
    folder = export_folder(nano, options)
    folder.parent.mkdir(parents=True)
    with FileLock(f"{folder}.lock"):
        results = []
        waiting = threading.Thread(target=lambda: results.append(cached_export(nano, options)))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        write.write_export(nano, folder, options)
        monkeypatch.setattr(cached, "write_export", None)  # must not be needed any more
    waiting.join(30)
    assert results[0].folder == folder
    assert "waiting" in capsys.readouterr().err


def test_a_world_that_is_not_on_disk(options):
    with pytest.raises(InputError, match=r"world 'nano' is not on disk, .*backend='torch'"):
        cached_export(make_nano(), options)


def test_a_cache_that_cannot_be_written(quick, nano, options, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot write to the cache .*XDG_CACHE_HOME"):
        cached_export(nano, options)
