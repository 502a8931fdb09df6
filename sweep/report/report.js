/* The page's behaviour: draws the figures in the reader's colours, picks curves, sorts and filters.
   `Report.take(page)` puts a newer state of the same study in the place of the one shown. */
const Report = (() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 46rem)");
  const coarse = matchMedia("(pointer: coarse)");
  let DATA; // what the page holds for its figures
  let printing = false;
  let gone = ""; // which configuration made room for the one picked last

  // What the reader chose, kept when a newer state of the study takes the place of this one.
  const chosen = { trials: null, variant: {}, logLoss: false, logEpochs: false, lines: true, filter: "", all: false, sort: null };

  const byId = (id) => document.getElementById(id);

  /* ---- colours and fonts ---- */

  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isDark = () => dark.matches && !printing;

  // A copy of a figure's part, each colour and each mark of a text that `swap` knows replaced.
  function recoloured(value, swap) {
    if (typeof value === "string") return swap[value] ?? value;
    if (Array.isArray(value)) return value.map((item) => recoloured(item, swap));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, recoloured(v, swap)]));
  }

  function themed(figure) {
    const swap = isDark() ? { ...DATA.texts, ...DATA.dark } : DATA.texts;
    const { data, layout } = recoloured({ data: figure.data, layout: figure.layout }, swap);
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
      if (note.showarrow) note.arrowcolor = colour.muted;
    }
    Object.assign(layout, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: DATA.palette,
      font: { family: ink("--text"), size: 13, color: colour.ink },
      hoverlabel: { bgcolor: colour.card, bordercolor: colour.rule, align: "left",
        font: { family: ink("--text"), size: 13, color: colour.ink } },
      dragmode: coarse.matches ? false : "zoom",
      autosize: false,
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
      if (note.name === "title") Object.assign(note, { textangle: -30, xanchor: "left", yshift: 8, xshift: -4 });
      if (note.yref || note.text.length < 60) continue;
      // A long name of a bar goes into two lines.
      const cut = note.text.indexOf(", ", 35);
      if (cut > 0) note.text = `${note.text.slice(0, cut + 1)}<br>${note.text.slice(cut + 2)}`;
      Object.assign(note, { align: "left", yshift: 12, font: { ...note.font, size: 10.5 } });
      layout.height += 14;
    }
    const ticks = layout.xaxis?.type === "log" ? layout.xaxis.tickvals ?? [] : [];
    const decades = ticks.filter((tick) => Math.abs(Math.log10(tick) % 1) < 1e-9);
    if (ticks.length > 4 && decades.length > 1) {
      layout.xaxis.ticktext = decades.map((tick) => layout.xaxis.ticktext[ticks.indexOf(tick)]);
      layout.xaxis.tickvals = decades;
    }
    // Legends of many entries take several lines here.
    const named = data.filter((trace) => trace.name && trace.showlegend !== false);
    if (layout.legend && named.length > 1) {
      const letters = named.reduce((sum, trace) => sum + trace.name.length + 9, 0);
      const more = 20 * Math.floor(letters / 44);
      layout.height += more;
      layout.margin = { ...layout.margin, t: (layout.margin.t ?? 40) + more };
    }
    layout.margin = { ...layout.margin, l: Math.min(layout.margin.l ?? 60, 52) };
  }

  function draw(id, figure) {
    const place = byId(id);
    const { data, layout } = themed(figure);
    layout.width = printing ? 680 : Math.max(280, place.clientWidth);
    // On paper a figure is flatter, so that two share a page; one with a line a thing keeps its height.
    if (printing && !/^plot-effects/.test(id) && !data.some((trace) => trace.orientation === "h")) layout.height *= 0.6;
    place.style.minHeight = `${layout.height}px`;
    return Plotly.react(place, data, layout, {
      responsive: false,
      displaylogo: false,
      displayModeBar: coarse.matches ? false : "hover",
      modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
      toImageButtonOptions: { format: "svg", filename: `${DATA.name} ${id.replace("plot-", "")}` },
    });
  }

  /* ---- figures with variants ---- */

  const variantOf = (id) => DATA.figures[id][chosen.variant[id] ?? 0] ?? DATA.figures[id][0];

  function drawFigures() {
    for (const id of Object.keys(DATA.figures)) draw(id, variantOf(id));
  }

  function tell(id) {
    const figure = variantOf(id);
    byId(`${id}-finding`).textContent = figure.finding;
    byId(id).setAttribute("aria-label", figure.finding);
    const title = byId(`${id}-title`);
    if (title) title.textContent = figure.title;
    if (figure.caption) byId(`${id}-caption`).textContent = figure.caption;
  }

  function readySelects() {
    for (const select of document.querySelectorAll("select[data-variants]")) {
      const id = select.dataset.variants;
      select.value = String(chosen.variant[id] ?? 0);
      if (select.value !== "0") tell(id);
      select.addEventListener("change", () => {
        chosen.variant[id] = Number(select.value);
        tell(id);
        draw(id, variantOf(id));
      });
    }
  }

  /* ---- learning curves ---- */

  const svgDash = ["", "7 4", "2 3", "7 3 2 3", "11 4", "11 3 2 3"];

  function pick(trial) {
    const shown = chosen.trials;
    if (shown.has(trial) || !DATA.curves.trials[trial]) return;
    if (shown.size >= DATA.palette.length) {
      const first = shown.keys().next().value;
      shown.delete(first);
      gone = `At most ${DATA.palette.length} configurations are shown at a time: trial ${first}, shown the longest, made room for trial ${trial}.`;
    }
    const taken = new Set(shown.values());
    let slot = 0;
    while (taken.has(slot)) slot += 1;
    shown.set(trial, slot); // trial -> slot of colour and line style
  }

  const veil = (hex) => {
    const part = (from) => parseInt(hex.slice(from, from + 2), 16);
    return `rgba(${part(1)},${part(3)},${part(5)},0.14)`;
  };

  // The traces and shapes of a configuration, which share their styles with those of others.
  function partsOf(trial) {
    const { styles, trials } = DATA.curves;
    const whole = ([style, own]) => ({ ...styles[style], ...own });
    return { traces: trials[trial].traces.map(whole), shapes: trials[trial].shapes.map(whole) };
  }

  function curveFigure() {
    const curves = DATA.curves;
    const layout = structuredClone(curves.layout);
    const data = [];
    const waits = [];
    const first = DATA.palette[0];
    let row = 0;
    for (const [trial, slot] of chosen.trials) {
      const own = DATA.palette[slot];
      const swap = { [first]: own, [veil(first)]: veil(own) };
      const { traces, shapes } = partsOf(trial);
      for (const trace of recoloured(traces, swap)) {
        if (trace.meta === "replicate" && !chosen.lines) continue;
        if (trace.meta === "median") trace.line.dash = DATA.dashes[slot];
        if (trace.yaxis === "y3") trace.y = [-row];
        data.push(trace);
      }
      for (const shape of recoloured(shapes, swap)) {
        if (shape.yref === "y3") [shape.y0, shape.y1] = [shape.y0 - row, shape.y1 - row];
        (shape.name === "wait" ? waits : layout.shapes).push(shape);
      }
      row += 1;
    }
    // Veils follow one another: each begins where the wait before it ends, so that none is mixed.
    let from = 1;
    for (const shape of waits.sort((a, b) => a.x1 - b.x1)) {
      if (shape.x1 > from) layout.shapes.push({ ...shape, x0: from });
      from = Math.max(from, shape.x1);
    }
    layout.yaxis3.range = [0.5 - row, 0.5];
    const longest = Math.max(...[...chosen.trials.keys()].map((trial) => curves.trials[trial].epochs));
    layout.xaxis.range = [0, longest + Math.max(0.3, longest / 60)];
    if (longest < 8) layout.xaxis.dtick = 1;
    if (chosen.logEpochs) {
      const ticks = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000].filter((t) => t <= longest);
      delete layout.xaxis.rangemode;
      delete layout.xaxis.dtick;
      Object.assign(layout.xaxis, { type: "log", range: [Math.log10(0.9), Math.log10(longest * 1.06)],
        tickvals: ticks, ticktext: ticks.map(String) });
      layout.xaxis.title.text += " (log scale)";
    }
    if (chosen.logLoss) {
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

  function drawCurves() {
    if (!DATA.curves) return;
    draw("plot-curves", curveFigure());
    const said = [...chosen.trials.keys()].map((trial) => DATA.curves.trials[trial].said).join("; ");
    byId("plot-curves-finding").textContent = `${said.charAt(0).toUpperCase()}${said.slice(1)}.`;
    byId("plot-curves").setAttribute("aria-label", byId("plot-curves-finding").textContent);
    byId("picked").textContent = gone;
    byId("chips").replaceChildren(...[...chosen.trials].map(([trial, slot]) => chip(trial, slot)));
    for (const button of document.querySelectorAll("[data-curve]")) {
      button.setAttribute("aria-pressed", String(chosen.trials.has(button.dataset.curve)));
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
    text.textContent = DATA.curves.trials[trial].name;
    item.append(swatch, text);
    if (chosen.trials.size > 1) {
      const remove = document.createElement("button");
      remove.type = "button";
      remove.textContent = "×";
      remove.setAttribute("aria-label", `Remove trial ${trial}`);
      remove.addEventListener("click", () => { chosen.trials.delete(trial); gone = ""; drawCurves(); });
      item.append(remove);
    }
    return item;
  }

  function readyCurves() {
    if (!DATA.curves) return;
    const kept = [...(chosen.trials?.keys() ?? [])].filter((trial) => DATA.curves.trials[trial]);
    const before = chosen.trials;
    chosen.trials = new Map(kept.map((trial) => [trial, before.get(trial)]));
    if (!kept.length) for (const trial of DATA.curves.chosen) pick(String(trial));
    byId("pick").addEventListener("change", (event) => {
      gone = "";
      if (event.target.value) pick(event.target.value);
      event.target.value = "";
      drawCurves();
    });
    for (const [id, name] of [["log-loss", "logLoss"], ["log-epochs", "logEpochs"], ["lines", "lines"]]) {
      const box = byId(id);
      if (box.disabled) { chosen[name] = false; continue; }
      box.checked = chosen[name];
      box.addEventListener("change", () => { chosen[name] = box.checked; drawCurves(); });
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-curve]");
    if (!button) return;
    const trial = button.dataset.curve;
    gone = "";
    if (chosen.trials.has(trial) && chosen.trials.size > 1) chosen.trials.delete(trial);
    else {
      pick(trial);
      byId("curves").scrollIntoView();
    }
    drawCurves();
  });

  /* ---- the table ---- */

  function readyTable() {
    const table = byId("configurations");
    if (!table) return;
    const body = table.tBodies[0];
    const headings = [...table.tHead.rows[0].cells];
    const known = (cell) => cell.dataset.v !== "";
    const sort = (column, up) => {
      for (const other of headings) other.setAttribute("aria-sort", "none");
      headings[column].setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = (a, b) => {
        const [x, y] = [a.cells[column], b.cells[column]];
        if (!known(x) || !known(y)) return known(y) - known(x); // what does not exist comes last
        const [p, q] = [Number(x.dataset.v), Number(y.dataset.v)];
        const way = Number.isNaN(p) || Number.isNaN(q) ? x.dataset.v.localeCompare(y.dataset.v) : p - q;
        return up ? way : -way;
      };
      body.append(...[...body.rows].sort(order));
      chosen.sort = [headings[column].dataset.key, up];
    };
    headings.forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => {
        sort(column, heading.getAttribute("aria-sort") !== "ascending");
      });
    });
    const [filter, whole] = [byId("filter"), byId("all-solved")];
    const apply = () => {
      [chosen.filter, chosen.all] = [filter.value, whole.checked];
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const asked = words.map((word) => ({ word, ...Filter.condition(word, headings) }));
      const conditions = asked.filter((one) => one.holds).map((one) => one.holds);
      let count = 0;
      for (const row of body.rows) {
        row.hidden = !conditions.every((holds) => holds(row)) || (whole.checked && !("all" in row.dataset));
        if (!row.hidden) count += 1;
      }
      byId("shown").textContent = `${count} of ${body.rows.length} shown`;
      const wrong = asked.filter((one) => one.wrong).map((one) => `“${one.word}” is left out: ${one.wrong}`);
      if (!count && !wrong.length) wrong.push(Filter.nothingFound(asked, body, whole.checked));
      byId("filter-said").textContent = wrong.join(" ");
      filter.setAttribute("aria-invalid", String(asked.some((one) => one.wrong)));
    };
    filter.addEventListener("input", apply);
    whole.addEventListener("change", apply);
    [filter.value, whole.checked] = [chosen.filter, chosen.all];
    if (chosen.filter || chosen.all) apply();
    const column = chosen.sort ? headings.findIndex((heading) => heading.dataset.key === chosen.sort[0]) : -1;
    if (column >= 0) sort(column, chosen.sort[1]);
  }

  /* ---- data to take away ---- */

  function numbers(values) {
    if (!values?.bdata) return values ?? [];
    const bytes = Uint8Array.from(atob(values.bdata), (sign) => sign.charCodeAt(0));
    return [...new Float32Array(bytes.buffer)].map((v) => (Number.isFinite(v) ? Number(v.toPrecision(7)) : ""));
  }

  function curveRows(trials) {
    const rows = [["trial", "configuration", "series", "part", "replicate", "epoch", "value"]];
    const loss = /nats/.test(DATA.curves.layout.yaxis2.title.text) ? "loss_nats" : "mean_squared_error";
    for (const trial of trials) {
      let line = 0;
      for (const trace of partsOf(trial).traces) {
        if (trace.meta === "target") continue;
        const part = trace.meta === "band" ? (trace.fill ? "upper quartile" : "lower quartile") : trace.meta;
        const replicate = trace.meta === "replicate" ? line++ : "";
        if (trace.meta === "median") line = 0;
        numbers(trace.y).forEach((value, i) => rows.push([
          Number(trial), DATA.curves.trials[trial].name, trace.yaxis === "y2" ? loss : "accuracy_share", part, replicate, trace.x0 + i * trace.dx, value]));
      }
    }
    return rows;
  }

  // What is known of some trials, in the order given; of all columns unless some are named.
  function trialRows(trials, columns) {
    const { header, lines } = DATA.numbers;
    const shown = columns ?? header.map((_, column) => column);
    return [header, ...trials.map((trial) => lines[trial])].map((line) => shown.map((column) => line[column] ?? ""));
  }

  function figureRows(id) {
    if (id === "plot-curves") return curveRows(chosen.trials.keys());
    const figure = variantOf(id);
    if (figure.taken?.trials) return trialRows(figure.taken.trials, figure.taken.columns);
    if (figure.taken) return [figure.taken.header, ...figure.taken.lines.map((line) => line.map((value) => value ?? ""))];
    const titled = (axis, other) => figure.layout[axis]?.title?.text ?? other;
    const rows = [["series", "of", titled("xaxis", "x"), "value"]];
    const bare = (text) => String(text ?? "").replace(/<[^>]*>/g, "").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
    for (const trace of figure.data) {
      const [xs, ys] = [numbers(trace.x), numbers(trace.y)];
      const of = titled((trace.yaxis ?? "y").replace("y", "yaxis"), "");
      xs.forEach((x, i) => {
        if (ys[i] !== "") rows.push([bare(trace.name), bare(of), typeof x === "string" ? bare(x) : x, typeof ys[i] === "string" ? bare(ys[i]) : ys[i]]);
      });
    }
    return rows;
  }

  function tableRows(id) {
    return trialRows([...byId(id).tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.dataset.trial));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-download]");
    if (!button) return;
    const id = button.dataset.download;
    const named = button.dataset.trials?.split(" ");
    const rows = named ? curveRows(named) : id.startsWith("plot-") ? figureRows(id) : tableRows(id);
    const quoted = (value) => {
      // A cell that begins like a formula must not become one in a spreadsheet.
      const text = typeof value === "string" && /^[=+\-@\t]/.test(value) ? `'${value}` : String(value);
      return /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
    };
    const csv = rows.map((row) => row.map(quoted).join(",")).join("\r\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv], { type: "text/csv;charset=utf-8" }));
    link.download = `${DATA.name} ${id.replace("plot-", "")}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  /* ---- drawing, and drawing again ---- */

  function drawAll() {
    drawCurves();
    drawFigures();
  }

  // What a link leads to must not lie below the navigation, which may have several lines.
  function keepClear() {
    document.documentElement.style.scrollPaddingTop = `${document.querySelector("nav").offsetHeight + 12}px`;
  }

  // Reads the page as it now is, and draws it.
  function ready() {
    keepClear();
    DATA = JSON.parse(byId("data").textContent);
    readySelects();
    readyCurves();
    readyTable();
    drawAll();
  }

  // Shows what another page of the same study holds, and keeps what the reader chose.
  function take(page) {
    const [top, active] = [scrollY, document.activeElement?.id];
    const marked = active === "filter" ? document.activeElement.selectionStart : null;
    for (const plot of document.querySelectorAll(".plot")) Plotly.purge(plot);
    for (const part of ["header.top", "nav", "main", "#data"]) {
      document.querySelector(part).replaceWith(page.querySelector(part));
    }
    ready();
    if (active && active !== document.activeElement?.id) byId(active)?.focus({ preventScroll: true });
    if (marked !== null) byId("filter")?.setSelectionRange(marked, marked);
    scrollTo({ top, behavior: "instant" });
  }

  let width = innerWidth;
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      keepClear();
      if (innerWidth !== width && !printing) drawAll();
      width = innerWidth;
    }, 120);
  });
  dark.addEventListener("change", drawAll);
  // On paper nothing can be unfolded, so all is.
  let folded = [];
  addEventListener("beforeprint", () => {
    printing = true;
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const part of folded) part.open = true;
    drawAll();
  });
  addEventListener("afterprint", () => {
    printing = false;
    for (const part of folded) part.open = false;
    drawAll();
  });
  ready();
  return { take };
})();
