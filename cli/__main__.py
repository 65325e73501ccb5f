"""`python -m vidrep_cli`."""

from .main import main

main()
