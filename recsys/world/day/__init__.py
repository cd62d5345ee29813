"""The steps of a day (visits, fits, views, feeds, responses, counts), called by `world/run.py`."""
