"""Rooms over HTTP: `POST /v1/layouts` and `POST /v1/layouts/edit` as a FastAPI router, with its queue and its progress events."""
