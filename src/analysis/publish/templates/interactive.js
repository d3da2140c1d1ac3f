// Charts upgrade in place: where this does not run, the drawings stay. `alive` is that of present/live.js.
for (const holder of document.querySelectorAll("script[data-chart]")) {
  const figure = document.getElementById(holder.dataset.chart);
  const drawing = figure.querySelector("svg");
  const live = document.createElement("div");
  live.className = "live";
  drawing.after(live);
  const told = document.createElement("p");
  told.className = "told";
  told.setAttribute("role", "status");
  live.after(told);
  alive(live, told, JSON.parse(holder.textContent), { label: drawing.querySelector("title").textContent })
    .then(() => { drawing.style.display = "none"; })
    .catch(() => {
      live.remove();
      told.remove();
    });
}
