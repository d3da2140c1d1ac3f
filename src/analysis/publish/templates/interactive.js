// Charts upgrade in place: where this does not run, the drawings stay.
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
  vegaEmbed(live, JSON.parse(holder.textContent), {
    // a policy forbids code that is made from text
    ast: true,
    actions: false,
    renderer: "svg",
    tooltip: { theme: "custom" },
  }).then(() => {
    drawing.style.display = "none";
    const root = live.querySelector("svg");
    root.removeAttribute("width");
    root.removeAttribute("height");
    root.setAttribute("role", "group");
    root.removeAttribute("aria-roledescription");
    live.removeAttribute("aria-label");
    root.setAttribute("aria-label", drawing.querySelector("title").textContent);
    // the words of axes and labels are in the table and in what marks say
    for (const part of live.querySelectorAll(".role-axis, .role-legend, .mark-text, .mark-rule")) {
      part.setAttribute("aria-hidden", "true");
    }
    for (const mark of live.querySelectorAll(".mark-rect.role-mark [aria-label], .mark-symbol.role-mark [aria-label]")) {
      mark.setAttribute("tabindex", "0");
      mark.setAttribute("role", "img");
      mark.removeAttribute("aria-roledescription");
      const all = mark.getAttribute("aria-label");
      const words = all.slice(Math.max(all.search(/(Grade|Measure): /), 0));
      mark.setAttribute("aria-label", words);
      const tell = () => { told.textContent = words; };
      mark.addEventListener("focus", tell);
      mark.addEventListener("mouseenter", tell);
    }
  }).catch(() => {
    live.remove();
    told.remove();
  });
}
