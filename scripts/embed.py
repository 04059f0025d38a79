#!/usr/bin/env python3
"""Makes a C file of files, for src/act/api/embedded.h.

usage: embed.py OUT.c URL-PATH=FILE…      (each with its type, ETag and, where that is smaller, gzip)
"""
import gzip
import hashlib
import pathlib
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
LINE_BYTES = 24


def c_bytes(name, data):
    rows = [data[i:i + LINE_BYTES] for i in range(0, len(data), LINE_BYTES)]
    body = ",\n    ".join(",".join(str(byte) for byte in row) for row in rows)
    return f"static const unsigned char {name}[] = {{\n    {body or '0'}\n}};\n"


def slice_of(name, data):
    return f"{{ (const char *){name}, {len(data)} }}" if data else "{ \"\", 0 }"


def main():
    out, files = sys.argv[1], sys.argv[2:]
    parts, rows = ['#include "act/api/embedded.h"\n'], []
    for index, pair in enumerate(files):
        url, path = pair.split("=", 1)
        path = pathlib.Path(path)
        data = path.read_bytes()
        zipped = gzip.compress(data, 9, mtime=0)
        if len(zipped) > 0.9 * len(data):
            zipped = b""
        parts.append(c_bytes(f"data_{index}", data))
        if zipped:
            parts.append(c_bytes(f"gzip_{index}", zipped))
        etag = hashlib.sha256(data).hexdigest()[:16]
        rows.append(f'    {{ "{url}", "{TYPES[path.suffix]}", "{etag}",\n'
                    f'      {slice_of(f"data_{index}", data)}, {slice_of(f"gzip_{index}", zipped)} }},\n')
    parts.append("const struct embedded_file embedded_files[] = {\n" + "".join(rows) + "};\n")
    parts.append(f"const size_t embedded_file_count = {len(files)};\n")
    pathlib.Path(out).write_text("\n".join(parts))


if __name__ == "__main__":
    main()
