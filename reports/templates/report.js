"use strict";
// Draws the charts from the page's own data, in the colours of the scheme in use.
(() => {
  const charts = JSON.parse(document.getElementById("chart-data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const colour = (role) => getComputedStyle(document.documentElement).getPropertyValue("--" + role).trim();
  const text = (value) => value.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  const axis = (title, more) => ({
    title: { text: title, font: { size: 12, color: colour("muted") }, standoff: 8 },
    gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("grid"),
    tickfont: { size: 11, color: colour("muted") }, ...more,
  });
  const layout = (more) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 60, r: 14, t: 26, b: 44 },
    font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink"), size: 12 },
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("ink") } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } }, ...more,
  });

  // Few and many orders differ by powers of ten: so do the colours. Bins without any stay clear.
  const heat = (data) => ({
    type: "heatmap", x: data.x, y: data.bands, z: data.counts.map((row) => row.map((n) => (n ? Math.log10(n) : null))), text: data.counts,
    colorscale: [[0, colour("cool")], [1, colour("hot")]], hoverongaps: false, zmin: 0,
    hovertemplate: "%{text} " + text(data.name) + " around %{x} s, %{y:.3g} ms<extra></extra>",
    colorbar: {
      orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", len: 0.3, thickness: 8, outlinewidth: 0, tickvals: [0, 1, 2, 3, 4, 5, 6], ticktext: ["1", "10", "100", "1k", "10k", "100k", "1M"],
      tickfont: { size: 11, color: colour("muted") },
    },
  });

  const trace = (data) => {
    if (data.kind === "heat") return heat(data);
    const shared = { name: text(data.name), x: data.x, y: data.y, hovertemplate: "%{x}, %{y}<extra>" + text(data.name) + "</extra>" };
    if (data.kind === "line") {
      const filled = data.filled ? { fill: "tozeroy", fillcolor: colour("grid") } : {};
      return { ...shared, ...filled, type: "scatter", mode: "lines", line: { color: colour(data.colour), width: 1.7, shape: data.shape, dash: data.dash || "solid" } };
    }
    const bad = data.symbol === "x";
    return { ...shared, type: "scatter", mode: "markers", marker: { color: colour(data.colour), size: bad ? 7 : 3.5, opacity: bad ? 0.9 : 0.3, symbol: data.symbol } };
  };

  const shade = (span) => ({
    type: "rect", xref: "x", yref: "paper", x0: span.start, x1: span.end, y0: 0, y1: 1,
    fillcolor: colour("shade"), line: { width: 0 }, layer: "below",
  });
  const edge = (x, dash) => ({
    type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { color: colour("bad"), width: 1, dash },
  });
  const label = (span) => ({
    xref: "x", yref: "paper", x: span.start, y: 1, text: text(span.label), showarrow: false, xanchor: "left", yanchor: "top",
    xshift: 3, font: { size: 10.5, color: colour("bad") },
  });

  const lines = (chart) => {
    const shades = chart.shades || [];
    const bands = chart.traces[0].bands; // of a heat map, whose cells must leave room for the labels above them
    const room = bands ? { range: [Math.log10(bands[0]), Math.log10(bands[bands.length - 1]) + 0.2] } : {};
    const logarithmic = { type: "log", dtick: 1, minor: { ticks: "" }, ...room };
    return [chart.traces.map(trace), layout({
      xaxis: axis(chart.x, { ...(chart.log_x ? { type: "log", dtick: 1 } : {}), ...(chart.range ? { range: chart.range } : {}) }),
      yaxis: axis(chart.y, chart.log ? logarithmic : { rangemode: "tozero" }),
      ...(bands ? { margin: { l: 60, r: 14, t: 46, b: 44 } } : {}),
      shapes: shades.flatMap((s) => [shade(s), edge(s.start, "solid"), ...(s.undone === null ? [] : [edge(s.undone, "dot")])]),
      annotations: shades.map(label),
    })];
  };

  const bars = (chart) => [chart.traces.map((bar) => ({
    type: "bar", orientation: "h", base: [bar.start], x: [bar.length], y: [text(bar.row)], text: [text(bar.text)],
    textposition: "inside", insidetextanchor: "start", textangle: 0, textfont: { size: 11, color: colour("page") }, constraintext: "inside", marker: { color: colour(bar.colour), line: { color: colour("panel"), width: 1.5 } }, showlegend: false,
    hovertemplate: text(bar.text) + ": " + bar.start + " s, for " + bar.length + " s" + (bar.open ? " and on" : "") + "<extra></extra>",
  })), layout({
    barmode: "overlay", bargap: 0.28, uniformtext: { minsize: 11, mode: "hide" }, xaxis: axis(chart.x, {}), margin: { l: 60, r: 14, t: 6, b: 44 },
    yaxis: axis("", { automargin: true, autorange: "reversed", categoryorder: "array", categoryarray: chart.rows.map(text), gridcolor: "rgba(0,0,0,0)", ticks: "" }),
  })];

  const draw = () => {
    for (const [name, chart] of Object.entries(charts)) {
      const [traces, style] = chart.rows ? bars(chart) : lines(chart);
      const place = document.getElementById("chart-" + name);
      if (chart.rows) place.style.height = 70 + 34 * chart.rows.length + "px";
      Plotly.react(place, traces, style, { responsive: true, displayModeBar: false });
    }
  };
  draw();
  dark.addEventListener("change", draw);
  window.matchMedia("print").addEventListener("change", draw); // paper is light
})();
