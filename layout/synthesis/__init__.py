"""Rule-based rooms: drawn, furnished from the rule table, and kept only when the validator finds no fault at all.

draw(room_type, seed) -> Scene               one room, the same for the same seed on every machine
rooms(seed, count, room_types) -> iterator   many
"""

from layout.synthesis.draw import FURNISH, MIX, Drawn, draw, furnish_room, rooms
from layout.synthesis.rooms import draw_room, room_hash, split_of, split_of_hash

__all__ = [
    "FURNISH",
    "MIX",
    "Drawn",
    "draw",
    "draw_room",
    "furnish_room",
    "room_hash",
    "rooms",
    "split_of",
    "split_of_hash",
]
