// Draws the page of a volatility surface from the JSON in it; volatilities are in percent.
"use strict";
(() => {
  const expiries = JSON.parse(document.getElementById("data").textContent);
  const fitted = expiries.filter((one) => one.smile.k.length);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const SCALE = [[112, 78, 180], [70, 98, 170], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const MONEYNESS = "ln(strike / forward)";

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isNarrow = () => innerWidth < 760;
  const config = { responsive: true, displayModeBar: false, displaylogo: false };
  const font = () => ({ family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--soft") });
  const axis = (title, more = {}) => ({
    title: { text: title, standoff: 6 }, gridcolor: css("--line"), zerolinecolor: css("--axis"),
    linecolor: css("--axis"), automargin: true, fixedrange: true, ...more,
  });
  const layout = (height, more) => ({
    height, font: font(), showlegend: false, dragmode: false, hovermode: "closest",
    margin: { l: 40, r: 8, t: 8, b: 36 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { bgcolor: css("--card"), bordercolor: css("--axis"), font: { color: css("--ink") } },
    ...more,
  });
  // Days on a log axis: labels that people read, whatever the range.
  const daysAxis = (more = {}) => axis("days to expiry", {
    type: "log", tickvals: [0.5, 1, 2, 4, 7, 14, 30, 60, 120, 240, 365], minor: {}, ...more,
    ticktext: ["½", "1", "2", "4", "7", "14", "30", "60", "120", "240", "365"],
  });

  const hasWebgl = () => {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
  };

  // Where a day count lies between the first expiry and the last, as a colour.
  const colour = (days) => {
    const ends = [fitted[0].days, fitted[fitted.length - 1].days].map(Math.log);
    const share = ends[1] > ends[0] ? (Math.log(days) - ends[0]) / (ends[1] - ends[0]) : 0;
    const place = Math.min(share * (SCALE.length - 1), SCALE.length - 1.001);
    const [low, high] = [SCALE[Math.floor(place)], SCALE[Math.floor(place) + 1]];
    const mixed = low.map((part, i) => Math.round(part + (high[i] - part) * (place % 1)));
    return `rgb(${mixed.join(",")})`;
  };

  const spread = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const pad = 0.12 * (high - low) + 0.5;
    return [Math.max(0, low - pad), high + pad];
  };

  const surfaceIn3d = () => {
    const filled = {
      type: "surface", colorscale: "Viridis", opacity: 0.94, showscale: !isNarrow(),
      x: fitted.map((one) => one.sheet.k),
      y: fitted.map((one) => one.sheet.k.map(() => one.days)),
      z: fitted.map((one) => one.sheet.iv),
      colorbar: { thickness: 10, len: 0.7, ticksuffix: " %", outlinewidth: 0 },
      hovertemplate: "k %{x:.3f}<br>%{y:.1f} days<br>%{z:.2f} %<extra></extra>",
    };
    const along = (get) => fitted.flatMap((one) => [...get(one), null]);
    const lines = {
      type: "scatter3d", mode: "lines", hoverinfo: "skip", line: { color: css("--ink"), width: 2 },
      x: along((one) => one.sheet.k),
      y: along((one) => one.sheet.k.map(() => one.days)),
      z: along((one) => one.sheet.iv.map((iv) => iv + 0.1)), // above the surface, not in it
    };
    const side = (title, more) => ({
      title: { text: title }, gridcolor: css("--line"), zerolinecolor: css("--axis"),
      showbackground: false, color: css("--soft"), ...more,
    });
    const days = daysAxis();
    const far = isNarrow() ? 1.5 : 1.16;
    const scene = {
      xaxis: side("ln(K / F)"),
      yaxis: side("days", { type: "log", tickvals: days.tickvals, ticktext: days.ticktext }),
      zaxis: side("iv, %"),
      aspectratio: { x: 1.35, y: 1.35, z: 0.8 },
      camera: { eye: { x: 1.2 * far, y: -1.4 * far, z: 0.75 * far }, center: { x: 0, y: 0, z: -0.2 } },
    };
    const height = isNarrow() ? 310 : 560;
    const more = { scene, margin: { l: 0, r: 0, t: 0, b: 0 }, dragmode: "turntable" };
    return Plotly.react("surface", [filled, lines], layout(height, more), config);
  };

  const surfaceFlat = (note) => {
    document.getElementById("surface-note").textContent = note;
    const traces = fitted.map((one) => ({
      x: one.sheet.k, y: one.sheet.iv, mode: "lines", name: one.name,
      line: { color: colour(one.days), width: 2 },
      hovertemplate: `${one.name}<br>k %{x:.3f}<br>%{y:.2f} %<extra></extra>`,
    }));
    const labels = fitted.filter((_, i) => i % Math.max(fitted.length - 1, 1) === 0).map((one) => ({
      x: one.sheet.k[one.sheet.k.length - 1], y: one.sheet.iv[one.sheet.iv.length - 1],
      text: `${one.days.toFixed(one.days < 10 ? 1 : 0)} d`, showarrow: false, xanchor: "left",
      font: { size: 11 },
    }));
    const more = {
      xaxis: axis(MONEYNESS), yaxis: axis("", { ticksuffix: " %" }), annotations: labels,
      margin: { l: 40, r: 36, t: 8, b: 36 },
    };
    return Plotly.react("surface", traces, layout(isNarrow() ? 340 : 480, more), config);
  };

  const drawSurface = async () => {
    const flat = "All smiles in one picture, from the first expiry (violet) to the last (yellow)";
    if (fitted.length < 2) {
      return surfaceFlat(`${flat}; a surface needs two expiries.`);
    }
    try {
      return hasWebgl() ? await surfaceIn3d() : surfaceFlat(`${flat}; WebGL, which the surface needs, is not here.`);
    } catch (error) {
      Plotly.purge("surface");
      return surfaceFlat(`${flat}; the surface could not be drawn: ${error.message}`);
    }
  };

  const smileBox = (one, number) => {
    const found = document.getElementById(`smile-${number}`);
    if (found) {
      return found;
    }
    const box = document.createElement("div");
    const head = document.createElement("h3");
    const side = document.createElement("small");
    const plot = document.createElement("div");
    head.textContent = one.name;
    side.textContent = one.why || `${one.days.toFixed(1)} days`;
    plot.id = `smile-${number}`;
    plot.className = "plot";
    head.append(side);
    box.append(head, plot);
    document.getElementById("smiles").append(box);
    return plot;
  };

  const drawSmile = (one, number) => {
    const { k, iv, low, high, name } = one.points;
    const width = (ends, sign) => iv.map((mid, i) => (ends[i] === null ? 0 : sign * (ends[i] - mid)));
    const quoted = {
      x: k, y: iv, text: name, mode: "markers", marker: { color: css("--point"), size: 4.5 },
      customdata: k.map((_, i) => `${low[i] ?? "?"} to ${high[i] ?? "?"} %`),
      error_y: { type: "data", symmetric: false, array: width(high, 1), arrayminus: width(low, -1),
                 color: css("--point"), thickness: 1, width: 0 },
      hovertemplate: "%{text}<br>%{y:.2f} %, %{customdata}<extra></extra>",
    };
    const fit = {
      x: one.smile.k, y: one.smile.iv, mode: "lines", line: { color: css("--fit"), width: 2 },
      customdata: one.smile.k.map((at) => (one.forward ? one.forward * Math.exp(at) : null)),
      hovertemplate: "strike %{customdata:,.5~g}<br>%{y:.2f} %<extra></extra>",
    };
    const ends = one.smile.k.length ? [] : [...low, ...high].filter((end) => end !== null);
    const seen = [...iv, ...one.smile.iv, ...ends];
    const more = {
      xaxis: axis(MONEYNESS, { nticks: 6 }),
      yaxis: axis("", { ticksuffix: " %", nticks: 6, ...(seen.length ? { range: spread(seen) } : {}) }),
    };
    return Plotly.react(smileBox(one, number), [quoted, fit], layout(230, more), config);
  };

  const drawTerm = () => {
    const known = expiries.filter((one) => one.atm !== null);
    const curve = {
      x: known.map((one) => one.days), y: known.map((one) => one.atm), text: known.map((one) => one.name),
      mode: "lines+markers", line: { color: css("--fit"), width: 2 },
      marker: { color: css("--fit"), size: 7 },
      error_y: { type: "data", array: known.map((one) => one.error ?? 0), color: css("--soft"), width: 4 },
      hovertemplate: "%{text}<br>%{x:.1f} days<br>%{y:.2f} ± %{error_y.array:.2f} %<extra></extra>",
    };
    const more = { xaxis: daysAxis(), yaxis: axis("", { ticksuffix: " %", nticks: 7 }) };
    return Plotly.react("term", [curve], layout(isNarrow() ? 260 : 320, more), config);
  };

  const draw = async () => {
    await Promise.all([drawSurface(), drawTerm(), ...expiries.map(drawSmile)]);
    document.documentElement.dataset.drawn = "yes";
  };

  dark.addEventListener("change", draw);
  draw();
})();
