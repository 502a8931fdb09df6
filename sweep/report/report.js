/* The page's behaviour: draws the figures in the reader's colours, picks curves, sorts and filters. */
(() => {
  "use strict";
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 46rem)");
  const coarse = matchMedia("(pointer: coarse)");
  const MOST = DATA.palette.length;
  let printing = false;

  /* ---- colours and fonts ---- */

  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isDark = () => dark.matches && !printing;

  // A copy of a figure's part, each colour that `swap` knows replaced.
  function recoloured(value, swap) {
    if (typeof value === "string") return swap[value] ?? value;
    if (Array.isArray(value)) return value.map((item) => recoloured(item, swap));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, recoloured(v, swap)]));
  }

  function themed(figure) {
    const { data, layout } = recoloured(figure, isDark() ? DATA.dark : {});
    const colour = printing
      ? { ink: "#000", muted: "#444", grid: "#e5e5e5", rule: "#999", card: "#fff" }
      : { ink: ink("--ink"), muted: ink("--muted"), grid: ink("--grid"), rule: ink("--rule"), card: ink("--card") };
    const axis = {
      gridcolor: colour.grid, linecolor: colour.rule, zerolinecolor: colour.rule,
      tickcolor: colour.rule, automargin: true, fixedrange: coarse.matches,
      title: { font: { size: 13, color: colour.muted }, standoff: 10 },
    };
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) {
        layout[key] = { ...axis, ...layout[key], title: { ...axis.title, ...layout[key].title } };
      }
    }
    for (const note of layout.annotations ?? []) {
      note.font = { color: colour.muted, ...note.font };
    }
    Object.assign(layout, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: DATA.palette,
      font: { family: ink("--text"), size: 13, color: colour.ink },
      hoverlabel: { bgcolor: colour.card, bordercolor: colour.rule, align: "left",
        font: { family: ink("--text"), size: 13, color: colour.ink } },
      dragmode: coarse.matches ? false : "zoom",
      autosize: true,
    });
    if (layout.legend) layout.legend = { ...layout.legend, bgcolor: "rgba(0,0,0,0)", font: { size: 12.5 } };
    if (narrow.matches && !printing) onPhone(data, layout);
    return { data, layout };
  }

  // Colour bars go below the figure where there is no room beside it.
  function onPhone(data, layout) {
    for (const trace of data) {
      const bar = trace.colorbar ?? trace.marker?.colorbar;
      if (!bar || !(trace.colorbar || trace.marker.showscale)) continue;
      Object.assign(bar, { orientation: "h", x: 0.5, xanchor: "center", len: 1 });
      Object.assign(bar, { yref: "container", y: 0.01, yanchor: "bottom" });
      bar.title = { ...bar.title, side: "bottom" };
      layout.height += 70;
      layout.margin = { ...layout.margin, b: (layout.margin.b ?? 50) + 70 };
    }
    for (const note of layout.annotations ?? []) {
      if (note.yref || note.text.length < 60) continue;
      // A long name of a bar goes into two lines.
      const cut = note.text.indexOf(", ", 35);
      if (cut > 0) note.text = `${note.text.slice(0, cut + 1)}<br>${note.text.slice(cut + 2)}`;
      Object.assign(note, { align: "left", yshift: 12, font: { ...note.font, size: 10.5 } });
      layout.height += 14;
    }
    layout.margin = { ...layout.margin, l: Math.min(layout.margin.l ?? 60, 52) };
  }

  function draw(id, figure) {
    const place = document.getElementById(id);
    const { data, layout } = themed(figure);
    if (printing) layout.width = 680;
    place.style.minHeight = `${layout.height}px`;
    return Plotly.react(place, data, layout, {
      responsive: true,
      displaylogo: false,
      displayModeBar: coarse.matches ? false : "hover",
      modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
      toImageButtonOptions: { format: "svg", filename: `${DATA.name} ${id.replace("plot-", "")}` },
    });
  }

  /* ---- figures with variants ---- */

  const variant = {};

  function drawFigures() {
    for (const [id, variants] of Object.entries(DATA.figures)) draw(id, variants[variant[id] ?? 0]);
  }

  for (const select of document.querySelectorAll("select[data-variants]")) {
    select.value = "0";
    select.addEventListener("change", () => {
      const id = select.dataset.variants;
      variant[id] = Number(select.value);
      const figure = DATA.figures[id][variant[id]];
      document.getElementById(`${id}-finding`).textContent = figure.finding;
      document.getElementById(id).setAttribute("aria-label", figure.finding);
      const title = document.getElementById(`${id}-title`);
      if (title) title.textContent = figure.title;
      draw(id, figure);
    });
  }

  /* ---- learning curves ---- */

  const curves = DATA.curves;
  const shown = new Map(); // trial -> slot of colour and line style
  const svgDash = ["", "7 4", "2 3", "7 3 2 3", "11 4", "11 3 2 3"];

  function pick(trial) {
    if (shown.has(trial) || !curves.trials[trial]) return;
    if (shown.size >= MOST) shown.delete(shown.keys().next().value);
    const taken = new Set(shown.values());
    let slot = 0;
    while (taken.has(slot)) slot += 1;
    shown.set(trial, slot);
  }

  function curveFigure() {
    const lines = document.getElementById("lines").checked;
    const log = document.querySelector("input[name=loss]:checked").value === "log";
    const layout = structuredClone(curves.layout);
    const data = [];
    const first = DATA.palette[0];
    let row = 0;
    for (const [trial, slot] of shown) {
      const own = DATA.palette[slot];
      const swap = { [first]: own, [veil(first)]: veil(own) };
      const part = recoloured(curves.trials[trial], swap);
      for (const trace of part.data) {
        if (trace.meta === "replicate" && !lines) continue;
        if (trace.meta === "median") trace.line.dash = DATA.dashes[slot];
        if (trace.yaxis === "y3") trace.y = [-row];
        data.push(trace);
      }
      for (const shape of part.layout.shapes) {
        if (shape.yref === "y3") [shape.y0, shape.y1] = [shape.y0 - row, shape.y1 - row];
        layout.shapes.push(shape);
      }
      row += 1;
    }
    layout.yaxis3.range = [0.5 - row, 0.5];
    const longest = Math.max(...[...shown.keys()].map((trial) => curves.trials[trial].epochs));
    layout.xaxis.range = [0, longest + Math.max(0.3, longest / 60)];
    if (longest < 8) layout.xaxis.dtick = 1;
    if (log) {
      layout.yaxis2.type = "log";
      layout.yaxis2.title.text += ", log scale";
      layout.yaxis2.exponentformat = "power";
      layout.yaxis2.dtick = 1;
      delete layout.yaxis2.rangemode;
      for (const note of layout.annotations) {
        if (note.yref === "y2") note.y = Math.log10(note.y);
      }
    }
    return { data, layout };
  }

  const veil = (hex) => {
    const part = (from) => parseInt(hex.slice(from, from + 2), 16);
    return `rgba(${part(1)},${part(3)},${part(5)},0.14)`;
  };

  function drawCurves() {
    if (!curves) return;
    draw("plot-curves", curveFigure());
    const chips = document.getElementById("chips");
    chips.replaceChildren(...[...shown].map(([trial, slot]) => chip(trial, slot)));
    for (const button of document.querySelectorAll("[data-curve]")) {
      const on = shown.has(button.dataset.curve);
      button.setAttribute("aria-pressed", String(on));
    }
  }

  function chip(trial, slot) {
    const item = document.createElement("li");
    const colour = isDark() ? DATA.dark[DATA.palette[slot]] : DATA.palette[slot];
    const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    swatch.setAttribute("width", "30");
    swatch.setAttribute("height", "10");
    swatch.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    const values = { x1: 0, x2: 30, y1: 5, y2: 5, stroke: colour, "stroke-width": 3, "stroke-dasharray": svgDash[slot] };
    for (const [name, value] of Object.entries(values)) line.setAttribute(name, value);
    swatch.append(line);
    const text = document.createElement("span");
    text.textContent = curves.trials[trial].name;
    item.append(swatch, text);
    if (shown.size > 1) {
      const remove = document.createElement("button");
      remove.type = "button";
      remove.textContent = "×";
      remove.setAttribute("aria-label", `Remove trial ${trial}`);
      remove.addEventListener("click", () => { shown.delete(trial); drawCurves(); });
      item.append(remove);
    }
    return item;
  }

  if (curves) {
    for (const trial of curves.chosen) pick(String(trial));
    document.getElementById("pick").addEventListener("change", (event) => {
      if (event.target.value) pick(event.target.value);
      event.target.value = "";
      drawCurves();
    });
    document.getElementById("lines").addEventListener("change", drawCurves);
    for (const input of document.querySelectorAll("input[name=loss]")) input.addEventListener("change", drawCurves);
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-curve]");
      if (!button) return;
      const trial = button.dataset.curve;
      if (shown.has(trial) && shown.size > 1) shown.delete(trial);
      else {
        pick(trial);
        document.getElementById("curves").scrollIntoView();
      }
      drawCurves();
    });
  }

  /* ---- the table ---- */

  const table = document.getElementById("configurations");
  if (table) {
    const body = table.tBodies[0];
    const headings = [...table.tHead.rows[0].cells];
    const known = (cell) => cell.dataset.v !== "";
    headings.forEach((heading, column) => {
      heading.querySelector("button")?.addEventListener("click", () => {
        const up = heading.getAttribute("aria-sort") !== "ascending";
        for (const other of headings) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        const order = (a, b) => {
          const [x, y] = [a.cells[column], b.cells[column]];
          if (!known(x) || !known(y)) return known(y) - known(x); // what does not exist comes last
          const [p, q] = [Number(x.dataset.v), Number(y.dataset.v)];
          const way = Number.isNaN(p) || Number.isNaN(q) ? x.dataset.v.localeCompare(y.dataset.v) : p - q;
          return up ? way : -way;
        };
        body.append(...[...body.rows].sort(order));
      });
    });
    const filter = document.getElementById("filter");
    const whole = document.getElementById("all-solved");
    const apply = () => {
      const asked = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of body.rows) {
        const cells = [...row.cells].map((cell) => cell.textContent.trim().toLowerCase());
        // A number has to be a cell's whole value, a word may be a part of it.
        const has = (word) => cells.some((cell) => /^[\d.]+$/.test(word) ? cell.split(/\s/)[0] === word : cell.includes(word));
        row.hidden = !asked.every(has) || (whole.checked && !("all" in row.dataset));
        if (!row.hidden) count += 1;
      }
      document.getElementById("shown").textContent = `${count} of ${body.rows.length} shown`;
    };
    filter.addEventListener("input", apply);
    whole.addEventListener("change", apply);
  }

  /* ---- data to take away ---- */

  function numbers(values) {
    if (!values?.bdata) return values ?? [];
    const bytes = Uint8Array.from(atob(values.bdata), (sign) => sign.charCodeAt(0));
    return [...new Float32Array(bytes.buffer)].map((v) => (Number.isFinite(v) ? Number(v.toPrecision(7)) : ""));
  }

  function figureRows(id) {
    const figure = id === "plot-curves" ? curveFigure() : DATA.figures[id][variant[id] ?? 0];
    const rows = [["series", "part", "x", "y", "z", "text"]];
    if (id === "plot-curves") {
      rows[0] = ["configuration", "series", "part", "epoch", "value"];
      for (const trial of shown.keys()) {
        let line = 0;
        for (const trace of curves.trials[trial].data) {
          if (trace.meta === "target") continue;
          const part = trace.meta === "band" ? (trace.fill ? "upper quartile" : "lower quartile")
            : trace.meta === "replicate" ? `replicate ${line++}` : trace.meta;
          if (trace.meta === "median") line = 0;
          numbers(trace.y).forEach((value, i) => rows.push([
            curves.trials[trial].name, trace.yaxis === "y2" ? "loss" : "accuracy", part, trace.x0 + i * trace.dx, value]));
        }
      }
      return rows;
    }
    const bare = (text) => String(text ?? "").replace(/<br>/g, "; ").replace(/<\/?(b|small)>/g, "")
      .replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
    for (const trace of figure.data) {
      if (trace.type === "heatmap") {
        trace.z.forEach((line, y) => line.forEach((z, x) => rows.push([
          trace.type, "", figure.layout.xaxis.ticktext?.[x] ?? x, figure.layout.yaxis.ticktext?.[y] ?? y, z ?? "", bare(trace.customdata[y][x])])));
        continue;
      }
      const [xs, ys] = [numbers(trace.x), numbers(trace.y)];
      const told = trace.hovertext ?? trace.text ?? [];
      xs.forEach((x, i) => rows.push([bare(trace.name), trace.type, x, ys[i], "", bare(told[i])]));
    }
    return rows;
  }

  function tableRows(id) {
    return [...document.getElementById(id).rows].filter((row) => !row.hidden).map((row) =>
      [...row.cells].map((cell) => cell.innerText.trim().replace(/\s+/g, " ")));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-download]");
    if (!button) return;
    const id = button.dataset.download;
    const rows = id.startsWith("plot-") ? figureRows(id) : tableRows(id);
    const quoted = (value) => {
      // A cell that begins like a formula must not become one in a spreadsheet.
      const text = typeof value === "string" && /^[=+\-@\t]/.test(value) ? `'${value}` : String(value);
      return /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
    };
    const csv = rows.map((row) => row.map(quoted).join(",")).join("\r\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", csv], { type: "text/csv" }));
    link.download = `${DATA.name} ${id.replace("plot-", "")}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  /* ---- drawing, and drawing again ---- */

  function drawAll() {
    drawCurves();
    drawFigures();
  }
  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { printing = true; drawAll(); });
  addEventListener("afterprint", () => { printing = false; drawAll(); });
  drawAll();
})();
