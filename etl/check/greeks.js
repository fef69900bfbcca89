// Draws ours against theirs, and errors over tolerances, from the JSON in the page.
"use strict";
(() => {
  const underlyings = JSON.parse(document.getElementById("data").textContent);
  const chooser = document.getElementById("underlying");
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const config = { responsive: true, displayModeBar: false, displaylogo: false };
  const axis = (title, more = {}) => ({
    title: { text: title, standoff: 6 }, gridcolor: css("--line"), zerolinecolor: css("--axis"),
    linecolor: css("--axis"), automargin: true, fixedrange: true, ...more,
  });
  const layout = (more) => ({
    height: 270, showlegend: false, dragmode: false, hovermode: "closest",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--soft") },
    margin: { l: 44, r: 8, t: 8, b: 36 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { bgcolor: css("--card"), bordercolor: css("--axis"), font: { color: css("--ink") } },
    ...more,
  });

  // A box with a heading for each quantity, made once.
  const plotIn = (parent, one) => {
    const id = `${parent}-${one.name}`;
    if (!document.getElementById(id)) {
      const box = document.createElement("div");
      const head = document.createElement("h3");
      const plot = document.createElement("div");
      head.textContent = one.label;
      plot.id = id;
      plot.className = "plot";
      box.append(head, plot);
      document.getElementById(parent).append(box);
    }
    return id;
  };

  // asinh, so that both signs and six decades fit; labels are round numbers.
  const bent = (value, unit) => Math.asinh(value / unit);
  const ticks = (values, unit) => {
    const most = Math.max(...values.map(Math.abs), unit);
    const decades = [];
    for (let size = unit * 10; size <= most * 2; size *= 10) {
      decades.push(size);
    }
    const step = Math.max(1, Math.ceil(decades.length / 3));
    const shown = decades.filter((_, i) => (decades.length - 1 - i) % step === 0);
    const low = values.some((value) => value < 0) ? shown.map((size) => -size) : [];
    const high = values.some((value) => value > 0) ? shown : [];
    const all = [...low, 0, ...high];
    return { tickvals: all.map((value) => bent(value, unit)), ticktext: all.map((value) => String(+value.toPrecision(1))) };
  };

  const drawScatter = (one) => {
    const { theirs, ours, outside, name } = one.points;
    const marks = one.unit ? ticks(theirs, one.unit) : {};
    const place = (values) => (one.unit ? values.map((value) => bent(value, one.unit)) : values);
    const ends = [Math.min(...place(theirs), 0), Math.max(...place(theirs), 0)];
    const line = { x: ends, y: ends, mode: "lines", line: { color: css("--axis"), width: 1 }, hoverinfo: "skip" };
    const points = {
      x: place(theirs), y: place(ours), text: name, mode: "markers",
      customdata: theirs.map((value, i) => [value, ours[i]]),
      marker: { size: 4, opacity: 0.75, color: outside.map((bad) => css(bad ? "--fit" : "--point")) },
      hovertemplate: "%{text}<br>theirs %{customdata[0]}<br>ours %{customdata[1]}<extra></extra>",
    };
    const more = { xaxis: axis("Deribit's", marks), yaxis: axis("ours", marks) };
    return Plotly.react(plotIn("scatter", one), [line, points], layout(more), config);
  };

  const drawHistogram = (one) => {
    const { at, share } = one.excess;
    const bars = {
      type: "bar", x: at, y: share, hovertemplate: "%{x:.2f}: %{y:.3g} %<extra></extra>",
      marker: { color: at.map((place) => css(Math.abs(place) > 1 ? "--fit" : "--point")) },
    };
    const limit = (x) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: css("--axis"), dash: "dot" } });
    const more = {
      bargap: 0.05, shapes: [limit(-1), limit(1)],
      xaxis: axis("(ours - theirs) / tolerance", { range: [-1.6, 1.6], dtick: 0.5 }),
      yaxis: axis("", { ticksuffix: " %", nticks: 5, rangemode: "tozero" }),
    };
    return Plotly.react(plotIn("histograms", one), [bars], layout(more), config);
  };

  const draw = async () => {
    const { quantities } = underlyings[chooser.selectedIndex];
    await Promise.all([...quantities.map(drawScatter), ...quantities.map(drawHistogram)]);
    document.documentElement.dataset.drawn = "yes";
  };

  chooser.append(...underlyings.map((one) => new Option(one.underlying)));
  chooser.addEventListener("change", draw);
  dark.addEventListener("change", draw);
  draw();
})();
