"""Files that are written whole or not at all."""

import os


def write_whole(path, content):
    """Write bytes; a file that was there stays as it is until the new one is complete. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
