// A chart that answers to mouse and keyboard. One stop of the Tab key; arrows, Home and End go from mark to
// mark in the order of drawing. What a mark says is its tooltip, in words, below the chart too.
function alive(live, told, specification, { label, theme, background } = {}) {
  return vegaEmbed(live, specification, {
    // a policy forbids code that is made from text
    ast: true,
    actions: false,
    renderer: "svg",
    tooltip: { theme: "custom" },
    // a chart fetches nothing: what it shows came with it
    loader: { load: refused, sanitize: refused, http: refused, file: refused },
    ...(theme === "dark" ? { theme } : {}),
    config: background ? { background } : {},
  }).then((made) => {
    const root = live.querySelector("svg");
    root.removeAttribute("width");
    root.removeAttribute("height");
    root.setAttribute("role", "group");
    root.removeAttribute("aria-roledescription");
    live.removeAttribute("aria-label");
    root.setAttribute("aria-label", label);
    // The words of axes and labels are in the table and in what marks say. A mark that says nothing is as silent
    // to a screen reader as to the mouse.
    for (const part of live.querySelectorAll(".role-axis, .role-legend, .role-mark")) {
      part.setAttribute("aria-hidden", "true");
    }
    const marks = [...live.querySelectorAll(".role-mark path, .role-mark line, .role-mark text")].filter(said);
    const show = (mark, value) => {
      const box = mark.getBoundingClientRect();
      const at = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
      made.view.tooltip().call(null, null, at, mark.__data__, value);
    };
    marks.forEach((mark, number) => {
      const words = said(mark);
      mark.setAttribute("tabindex", number === 0 ? "0" : "-1");
      mark.setAttribute("role", "img");
      mark.removeAttribute("aria-roledescription");
      mark.removeAttribute("aria-hidden");
      mark.closest(".role-mark").removeAttribute("aria-hidden");
      mark.setAttribute("aria-label", words);
      const tell = () => { told.textContent = words; };
      mark.addEventListener("mouseenter", tell);
      const follow = () => show(mark, mark.__data__.tooltip);
      const leave = () => {
        document.removeEventListener("scroll", follow, true);
        show(mark, null);
      };
      mark.addEventListener("focus", () => {
        for (const other of marks) other.setAttribute("tabindex", other === mark ? "0" : "-1");
        tell();
        follow();
        // the box stands where the mark is, whatever scrolls
        document.addEventListener("scroll", follow, true);
      });
      mark.addEventListener("blur", leave);
      mark.addEventListener("keydown", (event) => {
        const last = marks.length - 1;
        const next = {
          ArrowRight: Math.min(number + 1, last), ArrowDown: Math.min(number + 1, last),
          ArrowLeft: Math.max(number - 1, 0), ArrowUp: Math.max(number - 1, 0), Home: 0, End: last,
        }[event.key];
        if (event.key === "Escape") leave();
        if (next === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        marks[next].focus();
      });
    });
    return made;
  });
}

function said(mark) {
  const tooltip = mark.__data__?.tooltip;
  if (tooltip === undefined || tooltip === null || tooltip === "") return "";
  if (typeof tooltip !== "object") return String(tooltip);
  return Object.entries(tooltip).map(([name, value]) => `${name}: ${value}`).join("; ");
}

function refused() {
  return Promise.reject(new Error("a chart fetches nothing"));
}
