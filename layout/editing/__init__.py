"""Editing a furnished room: words to operations (`words`), what a place means (`places`), where things may go (`search`)."""
