"use strict";
(async () => {
  const plots = [...document.querySelectorAll(".plot")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;

  const colours = () => (dark.matches && !printing
    ? { text: "#e4e7ec", faint: "#9aa3b2", line: "#333a45", back: "#1e2229", scale: [[0, "#1e2229"], [0.5, "#35619c"], [1, "#a9ccff"]],
        signed: [[0, "#7fa6ff"], [0.5, "#1e2229"], [1, "#ff8a70"]] }
    : { text: "#1d2129", faint: "#5f6775", line: "#e3e6ea", back: "#ffffff", scale: [[0, "#f6f8fb"], [0.5, "#7fa9df"], [1, "#0f4a97"]],
        signed: [[0, "#285ac8"], [0.5, "#f6f8fb"], [1, "#c83c28"]] });

  const themed = (figure) => {
    const paint = colours();
    const layout = {
      autosize: true, height: figure.height, margin: { l: 56, r: 14, t: 28, b: 44 }, hovermode: "closest",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      colorway: ["#3b7dd8", "#e07b39", "#3a9d5d", "#b0559b", "#9a7b2f", "#d14b4b", "#3f97a3", "#7a6fd0"],
      ...structuredClone(figure.layout),
    };
    layout.legend = { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, ...layout.legend };
    layout.font = { color: paint.text, size: 12, family: "system-ui, -apple-system, 'Segoe UI', sans-serif", ...layout.font };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: paint.line, activecolor: paint.faint };
    layout.hoverlabel = { align: "left", namelength: -1, ...layout.hoverlabel };
    for (const name of new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))])) {
      layout[name] = { gridcolor: paint.line, zerolinecolor: paint.line, linecolor: paint.line, automargin: true, ...layout[name] };
    }
    const data = structuredClone(figure.data).map((trace) => {
      const meta = trace.meta;
      if (meta === "scale" || meta === "signed") (trace.marker ?? trace).colorscale = paint[meta];
      if (meta === "text" && trace.line) trace.line.color = paint.text;
      return trace;
    });
    return { data, layout };
  };

  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const draw = async (plot, figure) => {
    const { data, layout } = themed(figure);
    const still = plot.closest(".examples") !== null;
    await Plotly.react(plot, data, layout, { ...config, displayModeBar: still ? false : "hover" });
  };

  try {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent.trim()), (sign) => sign.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    const figures = plots.map((plot) => JSON.parse(plot.querySelector("script").textContent));
    plots.forEach((plot) => plot.replaceChildren());
    const drawAll = async () => { for (const [index, plot] of plots.entries()) await draw(plot, figures[index]); };
    await drawAll();
    document.body.dataset.drawn = String(plots.length);
    dark.addEventListener("change", drawAll);
    addEventListener("beforeprint", () => { printing = true; drawAll(); });
    addEventListener("afterprint", () => { printing = false; drawAll(); });
  } catch (error) {
    for (const plot of plots) {
      plot.style.height = "auto";
      plot.className = "failed";
      plot.textContent = `This figure cannot be drawn (${error.message}): it needs a browser of 2023 or later.`;
    }
    throw error;
  }
})();
