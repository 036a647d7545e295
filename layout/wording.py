"""The words of instructions: templates by level, styles, people and what they need, plurals. Every fifth template is held out of training."""

from __future__ import annotations

from layout.schema import RoomType

NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}

STYLES = (
    "modern", "cosy", "minimal", "bright", "simple", "warm", "Scandinavian", "practical", "quiet", "classic", "small-budget", "tidy",
)  # fmt: skip

TEMPLATES: dict[int, tuple[str, ...]] = {
    0: (
        "Design a {room} of {size}.",
        "furnish this {room} ({size})",
        "I need a {style} {room}, {size}.",
        "Lay out a {style} {room}.",
        "Please arrange a {room} measuring {size}.",
        "A {style} {room}.",
        "Fill this empty {room} with furniture; it is {size}.",
        "What would you put in a {room} of {size}?",
        "make me a {room}, {style}, {size}",
        "Suggest furniture for a {room} that is {size}.",
    ),
    1: (
        "A {room} with {objects}.",
        "Design a {style} {room} with {objects}.",
        "I want {objects} in my {room}.",
        "{room}, {size}: {objects}",
        "The {room} should have {objects}.",
        "Please furnish a {room} of {size} with {objects}.",
        "We need {objects} in a {style} {room}.",
        "Place {objects} in this {room}.",
        "Can you fit {objects} into a {room} of {size}?",
        "Make a {room} that has {objects}.",
        "a {style} {room} containing {objects}",
        "Set up the {room} with {objects}.",
    ),
    2: (
        "A {room} with {objects}: {relations}.",
        "Design a {room} of {size} with {objects}. I want {relations}.",
        "Furnish the {room} with {objects}. Please put {relations}.",
        "{style} {room} with {objects} – {relations}.",
        "Arrange {objects} in a {room} with {relations}.",
        "In this {room} I need {objects}; {relations}.",
        "A {style} {room}. It has {objects}, with {relations}.",
        "Lay out a {room} ({size}) with {objects}, and have {relations}.",
        "{room}: {objects}. Place {relations}.",
        "My {room} should contain {objects}, {relations}.",
    ),
    3: (
        "A {room} for {persona}.",
        "Design a {style} {room} for {persona}.",
        "This {room} of {size} is for {persona}. Furnish it.",
        "Please set up a {room} that suits {persona}.",
        "The {room} will be used by {persona}; what goes where?",
        "I am furnishing a {room} for {persona}.",
    ),
}

# What somebody needs, most demanding first; the last of each has only what every such room has.
PERSONAS: dict[RoomType, tuple[tuple[tuple[str, ...], str], ...]] = {
    "bedroom": (
        (("desk", "desk_chair", "bookshelf"), "a student who works at home and owns many books"),
        (("desk", "desk_chair"), "somebody who works from home now and then"),
        (("double_bed", "nightstand"), "a couple who read in bed"),
        (("double_bed", "wardrobe"), "two people with a lot of clothes"),
        (("single_bed", "wardrobe"), "one person who likes order"),
        (("television", "tv_stand"), "someone who watches films at night"),
        (("vanity_table", "mirror"), "someone who needs a place for make-up"),
        (("armchair",), "a person who likes to sit and read"),
        ((), "a guest"),
    ),
    "living_room": (
        (("dining_table", "dining_chair", "sofa"), "a family who eat and relax in one room"),
        (("desk", "desk_chair"), "someone who has no study and works in the living room"),
        (("bookshelf", "armchair"), "a reader who wants a quiet seat"),
        (("bookshelf",), "a family with many books"),
        (("television", "sofa"), "friends who watch football together"),
        (("sofa", "coffee_table"), "people who have guests for coffee"),
    ),
    "kitchen": (
        (("island", "bar_stool"), "a cook who likes company at the counter"),
        (("dining_table", "dining_chair"), "a family who eat in the kitchen"),
        (("dishwasher",), "people who hate doing the dishes"),
        (("coffee_machine",), "someone who lives on coffee"),
        (("stove", "kitchen_sink", "fridge"), "a person who cooks every day"),
    ),
    "bathroom": (
        (("bathtub", "shower"), "a household that wants both bath and shower"),
        (("washing_machine",), "a flat without a laundry room"),
        (("bathtub",), "someone who likes long baths"),
        (("shower",), "people who only ever take showers"),
        (("toilet", "vanity"), "a small flat"),
    ),
}

_IRREGULAR = {"bookshelf": "bookshelves", "books": "piles of books"}


def plural(noun: str) -> str:
    """More than one of a noun: 'benches', 'bookshelves', 'chests of drawers'."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    head, of, rest = noun.partition(" of ")
    if of:
        return plural(head) + of + rest
    if noun.endswith(("ch", "sh", "s", "x")):
        return noun + "es"
    return noun + "s"


def a(noun: str) -> str:
    """With the indefinite article; what is plural already has 'some'."""
    if noun == "books":
        return "some books"
    return ("an " if noun[0].lower() in "aeiou" else "a ") + noun


def the(noun: str) -> str:
    return f"the {noun}"
