"""The rewrite endpoint: `POST /v1/rewrite` and `/health` as a FastAPI router, with its cache, its batching and an app factory."""
