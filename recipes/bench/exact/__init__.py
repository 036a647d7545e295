"""Preference losses on small worlds where the best possible is known: what `rewright bench diffusion --tier exact` runs."""
