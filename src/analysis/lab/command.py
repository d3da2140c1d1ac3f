"""The command `casegrade lab`."""

from typing import Annotated

import typer

from analysis import console, paths


def lab(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Further arguments of JupyterLab, after two dashes.")
    ] = None,
    new: Annotated[
        str | None,
        typer.Option(help="Begin a notebook in notebooks/scratch/ for this question, and open it."),
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    git: Annotated[
        bool, typer.Option(help="Have git show changes of notebooks by cell, and keep no results of scratch.")
    ] = True,
) -> None:
    """Open JupyterLab on the project: charts that answer, code that is read again when edited, no network."""
    # only who asks for it waits for it
    from analysis.lab import checkout, drafts, start, trust

    with console.plainly():
        project = paths.project()
        start.check()
        notebook = project.notebooks / start.START if new is None else drafts.begin(project, new)
        made = checkout.prepare(project) if git else []
        if made:
            console.complain(
                f"Set in .git/config of this checkout alone: {', '.join(made)}. docs/jupyterlab.md says what for."
            )
        trust.sign(project)
        start.serve(project, notebook=notebook, port=port, browser=not no_browser, more=arguments or [])
