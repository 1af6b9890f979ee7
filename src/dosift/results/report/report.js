"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  root.classList.add("js");

  // Light and dark.
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
  });
  system.addEventListener("change", label);
  label();

  // What is shown in the graph: a row of a table (what it sets), or a variable.
  const rows = all("tr[data-sets]");
  const nodes = all(".node");
  const edges = all("path[data-e]").map((path) => [path, ...path.dataset.e.split(" ")]);
  const graphs = all("svg.graph, svg.everything");
  const choice = document.getElementById("choice");
  const note = document.getElementById("note");
  const hint = "Point at an intervention or a variable, or choose one, to see it in the graph.";
  let pinned = null;

  const clear = () => {
    all(".set, .cut, .out, .near, .match, .chosen, .valued").forEach((e) =>
      e.classList.remove("set", "cut", "out", "near", "match", "chosen", "valued"));
    all(".node .value").forEach((e) => { e.textContent = ""; });
    graphs.forEach((g) => g.classList.remove("choosing"));
  };
  const setsOf = (row) => row.dataset.sets.split(" ");
  const showRow = (row) => {
    const sets = setsOf(row);
    const states = row.dataset.states ? JSON.parse(row.dataset.states) : [];
    const fails = "fails" in row.dataset;
    row.classList.add("chosen");
    graphs.forEach((g) => g.classList.add("choosing"));
    for (const node of nodes) {
      const at = sets.indexOf(node.dataset.v);
      if (at < 0) continue;
      node.classList.add("set");
      if (at < states.length) {
        node.classList.add("valued");
        node.querySelector(".value").textContent = "= " + states[at];
      }
    }
    for (const [path, parent, child] of edges) {
      if (fails) path.classList.toggle("near", sets.includes(parent) && sets.includes(child));
      else if (sets.includes(child)) path.classList.add("cut");
      else if (sets.includes(parent)) path.classList.add("out");
    }
    note.textContent = row.dataset.note;
  };
  const showNode = (node) => {
    const own = node.dataset.v;
    const setters = rows.filter((r) => "c" in r.dataset && setsOf(r).includes(own));
    setters.forEach((row) => row.classList.add("match"));
    for (const [path, parent, child] of edges) {
      if (parent === own || child === own) path.classList.add("near");
    }
    const names = setters.slice(0, 8).map((row) => row.querySelector(".pick").textContent);
    if (setters.length > names.length) names.push("\u2026");
    note.textContent = node.getAttribute("aria-label") +
      (names.length ? "; set by " + names.join("; ") : "") + ".";
  };
  const show = (thing) => {
    clear();
    if (!thing) note.textContent = hint;
    else if (thing.matches("tr")) showRow(thing);
    else showNode(thing);
  };
  const pin = (thing) => {
    pinned = thing;
    all(".pick").forEach((button) =>
      button.setAttribute("aria-pressed", String(button.closest("tr") === pinned)));
    nodes.forEach((node) => node.setAttribute("aria-pressed", String(node === pinned)));
    if (choice) choice.value = (pinned && pinned.dataset.c) || "";
    show(pinned);
  };
  const listen = (thing) => {
    const toggle = () => pin(pinned === thing ? null : thing);
    thing.addEventListener("pointerenter", (e) => { if (e.pointerType !== "touch") show(thing); });
    thing.addEventListener("pointerleave", () => show(pinned));
    thing.addEventListener("focusin", () => show(thing));
    thing.addEventListener("focusout", () => show(pinned));
    thing.addEventListener("click", toggle);
    if (thing.matches(".node")) {
      thing.addEventListener("keydown", (e) => {
        if (e.key !== "Enter" && e.key !== " ") return;
        e.preventDefault();
        toggle();
      });
    }
  };
  if (note) {
    [...rows, ...nodes].forEach(listen);
    document.addEventListener("keydown", (e) => { if (e.key === "Escape") pin(null); });
    if (choice) {
      choice.addEventListener("change", () =>
        pin(rows.find((row) => row.dataset.c && row.dataset.c === choice.value) || null));
    }
    show(null);
  }

  // On paper everything is unfolded, but for the graph of all variables.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open]):not(.screen-only)");
    opened.forEach((e) => { e.open = true; });
  });
  addEventListener("afterprint", () => { opened.forEach((e) => { e.open = false; }); });
})();
