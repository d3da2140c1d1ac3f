"""The same 43 reports made in other ways, to be timed beside ours. Run as a program by bench.py.

`loop` is not here: it is the commands themselves. `parallel` is the loop on all cores, inside long-lived
processes. `limit` is the notebook's code as a plain function in processes that have everything imported
and have made a report before: what is left when there are no kernels at all.
"""

import ast
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

NOTEBOOK = "notebooks/02_force_report.ipynb"


def parallel(root: str, out: str, slug: str) -> None:
    """Papermill and nbconvert as their documentation has it, without a new process for each."""
    import papermill
    from nbconvert import HTMLExporter

    target = Path(out) / f"{slug}.ipynb"
    papermill.execute_notebook(
        str(Path(root) / NOTEBOOK), str(target), parameters={"force": slug}, cwd=root, progress_bar=False
    )
    page, _ = HTMLExporter().from_filename(str(target))
    target.with_suffix(".html").write_text(page, encoding="utf-8")


def limit(root: str, out: str, slug: str) -> None:
    """The cells one after the other in this process, their results shown as a kernel would, the same page."""
    import nbformat
    from IPython.core.formatters import DisplayFormatter

    from analysis.publish import page

    notebook = nbformat.read(Path(root) / NOTEBOOK, as_version=4)
    formatter = DisplayFormatter()
    namespace: dict[str, Any] = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = []
        tree = ast.parse(cell.source)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<cell>", "exec"), namespace)
        if "parameters" in cell.metadata.get("tags", []):
            namespace["force"] = slug
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)
            data, metadata = formatter.format(value)
            cell.outputs = [nbformat.v4.new_output("execute_result", data=data, metadata=metadata)]
    target = Path(out) / f"{slug}.ipynb"
    nbformat.write(notebook, target)
    text = page.PageText(slug, slug, "../index.html", ("benchmark",))
    document = page.render(notebook, text, without_tags=["single-only"])
    target.with_suffix(".html").write_text(document, encoding="utf-8")


def main() -> None:
    """Arguments: the way, the project, the folder to write to, slugs. Prints seconds, start-up left out for `limit`."""
    way, root, out, *slugs = sys.argv[1:]
    function = {"parallel": parallel, "limit": limit}[way]
    os.environ["CASEGRADE_PROJECT"] = root
    cores = os.cpu_count() or 1
    started = time.perf_counter()
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        if way == "limit":
            # more than there are processes, so that each of them is warm
            list(pool.map(function, [root] * cores * 4, [out] * cores * 4, slugs[:1] * cores * 4))
            started = time.perf_counter()
        list(pool.map(function, [root] * len(slugs), [out] * len(slugs), slugs))
        seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
