// What JupyterLab loads: a container of modules as webpack makes them, written by hand, as there is nothing to build.
(() => {
  const MIME = "application/vnd.casegrade.chart+json";
  const page = JSON.parse(document.getElementById("jupyter-config-data").textContent);
  let shared;

  // a module that JupyterLab shares, of whatever release it has
  const use = async (name) => (await Object.values(shared[name])[0].get())();

  let vega;
  // Vega is loaded once, when the first chart is shown
  const charts = () => {
    vega ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${page.baseUrl}casegrade/chart.js`;
      script.onload = () => resolve(window.casegrade);
      script.onerror = () => { vega = undefined; reject(new Error("the script of charts could not be read")); };
      document.head.append(script);
    });
    return vega;
  };

  const isDark = () => document.body.dataset.jpThemeLight === "false";

  // every colour of the house has one for a dark ground; any other is left alone
  const darkened = (node, colours) => {
    if (typeof node === "string") return colours[node.toUpperCase()] ?? node;
    if (Array.isArray(node)) return node.map((one) => darkened(one, colours));
    if (node === null || typeof node !== "object") return node;
    return Object.fromEntries(Object.entries(node).map(([key, one]) => [key, darkened(one, colours)]));
  };

  const mimeExtension = async () => {
    const { Widget } = await use("@lumino/widgets");
    const drawn = new Set();
    new MutationObserver(() => drawn.forEach((chart) => chart.draw()))
      .observe(document.body, { attributeFilter: ["data-jp-theme-light"] });

    class Chart extends Widget {
      constructor(options) {
        super();
        this.sanitizer = options.sanitizer;
        this.addClass("casegrade-chart");
        this.addClass("jp-RenderedHTMLCommon");
      }

      async renderModel(model) {
        const still = model.data["text/html"] ?? model.data["image/svg+xml"] ?? "";
        this.finish();
        this.node.innerHTML = model.trusted ? still : this.sanitizer.sanitize(still);
        const figures = [...this.node.querySelectorAll("figure.chart")];
        this.parts = model.data[MIME].charts.map(({ name, label, specification }, number) => {
          // what is not trusted has lost its ids
          const figure = figures.find((one) => one.id === name) ?? figures[number] ?? this.node;
          const live = document.createElement("div");
          live.className = "live";
          // keys of the notebook would go to another cell
          live.dataset.lmSuppressShortcuts = "true";
          const told = document.createElement("p");
          told.className = "told";
          told.setAttribute("role", "status");
          const table = figure.querySelector(":scope > details");
          figure.insertBefore(live, table);
          figure.insertBefore(told, table);
          return { label, specification, drawing: figure.querySelector(":scope > svg"), live, told };
        });
        drawn.add(this);
        await this.draw();
      }

      async draw() {
        const turn = (this.turn = (this.turn ?? 0) + 1);
        for (const part of this.parts) {
          try {
            const { alive, dark } = await charts();
            if (this.isDisposed || turn !== this.turn) return;
            part.view?.finalize();
            const options = isDark()
              ? { label: part.label, theme: "dark", background: dark["#FFFFFF"] }
              : { label: part.label, background: "#FFFFFF" };
            const shown = isDark() ? darkened(part.specification, dark) : part.specification;
            part.view = (await alive(part.live, part.told, shown, options)).view;
            if (part.drawing) part.drawing.style.display = "none";
          } catch (error) {
            console.error(error);
            part.live.replaceChildren();
          }
        }
      }

      finish() {
        this.parts?.forEach((part) => part.view?.finalize());
      }

      dispose() {
        drawn.delete(this);
        this.finish();
        super.dispose();
      }
    }

    return {
      id: "casegrade:chart",
      // it runs nothing that came with the notebook, and fetches nothing
      rendererFactory: { safe: true, mimeTypes: [MIME], createRenderer: (options) => new Chart(options) },
      rank: 0,
      dataType: "json",
    };
  };

  const extension = async () => {
    const { ILauncher } = await use("@jupyterlab/launcher");
    const { ICommandPalette, InputDialog, showErrorMessage } = await use("@jupyterlab/apputils");
    const { ServerConnection } = await use("@jupyterlab/services");
    const { LabIcon } = await use("@jupyterlab/ui-components");

    const { INotebookTracker } = await use("@jupyterlab/notebook");

    const asked = async (what, given) => {
      const settings = ServerConnection.makeSettings();
      const request = { method: "POST", body: JSON.stringify(given) };
      const answer = await ServerConnection.makeRequest(`${settings.baseUrl}casegrade/${what}`, request, settings);
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.message);
      return told;
    };
    const begun = async (question) => (await asked("drafts", { question })).path;

    // Before it is written, not meanwhile: what is stored is what is shown.
    const formatted = async (panel) => {
      const cells = [...panel.content.widgets].filter((cell) => cell.model.type === "code");
      const before = cells.map((cell) => cell.model.sharedModel.getSource());
      const after = (await asked("formatted", { sources: before })).sources;
      cells.forEach((cell, number) => {
        const model = cell.model.sharedModel;
        if (after[number] === before[number] || model.getSource() !== before[number]) return;
        const cursor = cell.editor?.getCursorPosition();
        model.setSource(after[number]);
        if (cursor) cell.editor.setCursorPosition(cursor);
      });
    };

    const formatOnSave = (panel) => {
      const { context } = panel;
      const save = context.save.bind(context);
      context.save = async (...how) => {
        const language = context.model.metadata?.kernelspec?.language ?? context.model.defaultKernelLanguage;
        if (!language || language === "python") await formatted(panel).catch(console.error);
        return save(...how);
      };
    };

    return {
      id: "casegrade:drafts",
      autoStart: true,
      optional: [ILauncher, ICommandPalette, INotebookTracker],
      activate: (app, launcher, palette, notebooks) => {
        notebooks?.forEach(formatOnSave);
        notebooks?.widgetAdded.connect((_, panel) => formatOnSave(panel));
        const icon = new LabIcon({ name: "casegrade:draft", svgstr: ICON });
        app.commands.addCommand("casegrade:new-analysis", {
          label: "New analysis notebook",
          caption: "A notebook for a question, as the house rules have it, in notebooks/scratch",
          icon,
          execute: async (given) => {
            const question = given.question ?? (await InputDialog.getText({
              title: "New analysis notebook",
              label: "Which question does it answer?",
              placeholder: "Did case grades in Kent change?",
              okLabel: "Begin",
            })).value;
            if (!question) return;
            try {
              await app.commands.execute("docmanager:open", { path: await begun(question) });
            } catch (error) {
              await showErrorMessage("No notebook was made", error.message);
            }
          },
        });
        app.commands.addCommand("casegrade:start-here", {
          label: "Start here",
          caption: "What there is, and a first chart",
          icon,
          execute: () => app.commands.execute("docmanager:open", { path: "notebooks/00_start_here.ipynb" }),
        });
        for (const [rank, command] of ["casegrade:start-here", "casegrade:new-analysis"].entries()) {
          launcher?.add({ command, category: "casegrade", rank });
          palette?.addItem({ command, category: "casegrade" });
        }
      },
    };
  };

  const ICON =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="24"><g class="jp-icon3" fill="#616161">' +
    '<path d="M3 5h11v5H3zM15.500 5H21v5h-5.500zM3 14h7v5H3zM11.500 14H21v5h-9.500z"/></g></svg>';

  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = new URL("lab.css", document.currentScript.src);
  document.head.append(style);

  const modules = { "./mimeExtension": mimeExtension, "./extension": extension };
  (window._JUPYTERLAB ??= {}).casegrade = {
    init: (scope) => { shared = scope; },
    get: async (name) => {
      const made = await modules[name]();
      return () => ({ __esModule: true, default: made });
    },
  };
})();
