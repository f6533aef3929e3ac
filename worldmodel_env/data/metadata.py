"""metadata.json and main_data.hdf5: what Minari reads, rebuilt from the table of episodes.

Both are caches. They carry the same `listing` hash, so that an outdated one is noticed.
"""

import hashlib
import json
from pathlib import Path

import h5py

from worldmodel_env.data import schema
from worldmodel_env.data.index import Index, to_json
from worldmodel_env.data.writer import hdf5_file, replace_file

# Any reader from 0.4.0 on accepts this; `jpeg_encoding: false` is honoured from 0.5.4 on.
MINARI_VERSION = "0.5.4"


def listing_hash(index: Index) -> str:
    """Hash of which episodes there are and in which files."""
    rows = [[file.file, row.key, row.sha256] for file, row in index.episodes()]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def caches_fresh(data: Path, index: Index) -> bool:
    """True if both files exist and describe the episodes of `index`."""
    if index.changed:
        return False
    listing = listing_hash(index)
    try:
        metadata = json.loads((data / schema.METADATA_FILE).read_text())
        with h5py.File(data / schema.LINK_FILE, "r") as links:
            linked = links.attrs["listing"]
    except (OSError, ValueError, KeyError):
        return False
    return listing == linked == metadata["worldmodel"]["listing"] and metadata[
        "dataset_id"
    ] == dataset_id(data)


def write_caches(data: Path, index: Index) -> None:
    """Write main_data.hdf5, then metadata.json, each atomically.

    Args:
        data: the `data` folder.
        index: a table with at least one episode.

    Raises:
        InputError: if a file cannot be written.
    """
    episodes = index.episodes()
    listing = listing_hash(index)
    with hdf5_file(data / schema.LINK_FILE) as links:
        links.attrs["listing"] = listing
        for number, (file, row) in enumerate(episodes):
            # Relative, so that the folder can be moved; HDF5 looks beside the link file.
            links[schema.episode_key(number)] = h5py.ExternalLink(file.file, f"/{row.key}")

    first = episodes[0][1]
    metadata = {
        "total_episodes": len(episodes),
        "total_steps": sum(row.total_steps for _, row in episodes),
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "observation_space": schema.space_to_json(schema.image_space(first.height, first.width)),
        "action_space": first.action_space,
        "dataset_id": dataset_id(data),
        "minari_version": MINARI_VERSION,
        "dataset_size": round(sum(file.size for file in index.files) / 1e6, 1),
        "worldmodel": {
            "schema_version": schema.SCHEMA_VERSION,
            "listing": listing,
            "files": to_json(index.files),
        },
    }
    replace_file(data / schema.METADATA_FILE, json.dumps(metadata).encode())


def dataset_id(data: Path) -> str:
    """The name under which Minari finds the data set: its folder's."""
    return data.resolve().parent.name
