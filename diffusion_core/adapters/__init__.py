"""diffusers models behind this package's interfaces; the only place that imports diffusers."""
