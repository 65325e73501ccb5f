"""`vidrep demo`: the whole path, on sample videos."""


def demo_command() -> None:
    pass
