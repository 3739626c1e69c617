"""``python -m unseen.cli``: the same as the ``unseen`` command."""

from unseen.cli.app import main

main()
