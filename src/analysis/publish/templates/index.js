(() => {
  "use strict";
  const table = document.getElementById("forces");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const text = (row) => row.textContent.toLowerCase();

  const tools = document.getElementById("tools");
  const find = document.getElementById("find");
  const status = document.getElementById("status");
  const version = document.getElementById("version");
  const told = document.getElementById("told");
  tools.hidden = false;

  const show = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits =
        words.every((word) => text(row).includes(word)) &&
        (!status.value || row.dataset.status === status.value) &&
        (!version.value || row.dataset.version === version.value);
      row.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    told.textContent = `${shown} of ${rows.length} forces shown`;
  };
  find.addEventListener("input", show);
  status.addEventListener("change", show);
  version.addEventListener("change", show);

  const keys = [
    (row) => row.cells[0].textContent.trim(),
    (row) => row.cells[1].textContent.trim(),
    (row) => row.dataset.updated,
  ];
  keys.forEach((key, column) => {
    const head = table.tHead.rows[0].cells[column];
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sorted = rows
        .map((row, place) => ({ row, place }))
        .sort((a, b) => {
          const order = key(a.row).localeCompare(key(b.row), "en-GB");
          return (down ? -order : order) || a.place - b.place;
        });
      body.append(...sorted.map((one) => one.row));
    });
  });
  table.tHead.rows[0].cells[0].setAttribute("aria-sort", "ascending");
})();
