"""Loads a workbook by calamine in a process of its own: some damaged ones ask for more memory than there is.

    python -m raypipe.etl.formats.calamine_child FILE

Ends with code 0 if the file was read or refused; anything else means that reading it ends a process.
"""

from __future__ import annotations

import os
import resource
import sys

ROOM, ROOM_PER_BYTE = 2 << 30, 64
"""Bytes of memory that reading a file may take, and as many more for each of its bytes."""


def main(path: str) -> None:
    """Load every sheet."""
    import python_calamine

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    room = ROOM + ROOM_PER_BYTE * os.stat(path).st_size
    resource.setrlimit(resource.RLIMIT_AS, (room if hard == resource.RLIM_INFINITY else min(room, hard), hard))
    try:
        book = python_calamine.CalamineWorkbook.from_path(path)
        for sheet in book.sheets_metadata:
            if sheet.typ == python_calamine.SheetTypeEnum.WorkSheet:
                book.get_sheet_by_name(sheet.name)
    except MemoryError:
        sys.exit(1)
    except BaseException as error:  # noqa: BLE001 - a panic of Rust is no Exception; told where the file is read
        sys.stderr.write(str(error))


if __name__ == "__main__":
    main(sys.argv[1])
