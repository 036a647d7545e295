from __future__ import annotations


def write(*a):
    pass


def text(s):
    return ""
