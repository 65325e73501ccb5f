"""Series of videos as symbols (ABBA): a series becomes a text of few letters, which a model forecasts."""
