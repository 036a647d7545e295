"""Layout models behind one interface."""
from pathlib import Path

import layout

EMBEDDED = Path(layout.__file__).parent / "zoo" / "rooms_llama"
