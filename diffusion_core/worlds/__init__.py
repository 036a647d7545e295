"""Embedded worlds: procedural scenes whose content is known exactly, so that a score is a fact and not an opinion."""
