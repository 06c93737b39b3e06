"use strict";

// Tries a model through the same endpoints as any other client. Links can say what to try: #input=TEXT or #prompt=TEXT.

const $ = (id) => document.getElementById(id);
const HOW = {
  text: "A text per line.",
  series: "A step per line, its channels separated by commas; with a first line of names, the rows of a table.",
  recording: "A sound file.",
};
let model = null;

async function request(path, options = {}) {
  const headers = { ...options.headers };
  if ($("token").value) headers.Authorization = `Bearer ${$("token").value}`;
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const problem = (await response.json()).error;
  if (response.status === 401) $("access").hidden = false;
  throw new Error(wording(problem));
}

const wording = (problem) => `${problem.message} (${problem.status}, request ${problem.request_id})`;

const postJson = (path, body) =>
  request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

function told(work) {
  return async () => {
    $("error").textContent = "";
    try {
      await work();
    } catch (error) {
      $("error").textContent = error.message;
    }
  };
}

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  if (content !== null) made.textContent = content;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

async function open() {
  model = await (await request("v1/model")).json();
  $("access").hidden = true;
  $("name").textContent = model.name || "A trained model";
  $("about").textContent =
    `${model.network} with ${model.cell}, ${model.parameters.toLocaleString("en")} parameters; reads: ${model.reads}`;
  const recording = model.reads === "recording";
  $("how").textContent = HOW[model.reads];
  $("input").hidden = recording;
  $("upload").hidden = !recording;
  $("reading").hidden = false;
  $("writing").hidden = !model.generates;
}

// the input of the page as the body of a request

function body() {
  const lines = $("input").value.split("\n").filter((line) => line.trim() !== "");
  if (model.reads === "text") return { inputs: lines };
  const cells = lines.map((line) => line.split(",").map((cell) => cell.trim()));
  const numeric = (row) => row.every((cell) => cell !== "" && Number.isFinite(Number(cell)));
  if (cells.length > 0 && !numeric(cells[0])) {
    const [names, ...rows] = cells;
    return { rows: rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index] ?? ""]))) };
  }
  return { inputs: [cells.map((row) => row.map(Number))] };
}

async function predict() {
  $("answer").replaceChildren();
  $("plot").replaceChildren();
  if (model.reads === "recording") {
    const file = $("file").files[0];
    if (!file) throw new Error("choose a sound file");
    const sent = { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file };
    show((await (await request("v1/predict", sent)).json()).predictions);
    return;
  }
  const sent = body();
  const found = (await (await postJson("v1/predict", sent)).json()).predictions;
  show(found);
  if (model.reads === "series") plot(columns(sent), found[0]);
}

function show(predictions) {
  for (const prediction of predictions) {
    const { probabilities } = prediction;
    const whole = probabilities && Object.values(probabilities).every((value) => typeof value === "number");
    if (whole) $("answer").append(bars(prediction.label ?? prediction.labels.join(", "), probabilities));
    else $("answer").append(element("pre", JSON.stringify(prediction, null, 1)));
  }
}

function bars(label, probabilities) {
  const table = element("table", null, { class: "classes" });
  table.append(element("caption", String(label)));
  const rows = Object.entries(probabilities).sort((one, other) => other[1] - one[1]).slice(0, 20);
  for (const [name, value] of rows) {
    const row = element("tr", null);
    const cell = element("td", null);
    const bar = element("span", "", { class: "bar" });
    bar.style.width = `${(12 * value).toFixed(2)}rem`;
    cell.append(bar);
    row.append(element("th", name), element("td", value.toFixed(4)), cell);
    table.append(row);
  }
  return table;
}

// plots

function columns(sent) {
  if (sent.inputs) return sent.inputs[0][0].map((_, index) => sent.inputs[0].map((row) => row[index]));
  const names = Object.keys(sent.rows[0]);
  const numbers = names.map((name) => sent.rows.map((row) => Number(row[name] || NaN)));
  return numbers.filter((column) => column.some(Number.isFinite));
}

function plot(read, prediction) {
  const series = read.slice(0, 6).map((values) => ({ values, first: 0, color: "#888" }));
  for (const kinds of Object.values(prediction.times ? prediction.values : {})) {
    for (const kind of ["low", "forecast", "high"]) {
      if (kinds[kind]) series.push({ values: kinds[kind], first: read[0].length, color: kind === "forecast" ? "#2a6fb0" : "#9cc3e6" });
    }
  }
  const all = series.flatMap(({ values }) => values).filter(Number.isFinite);
  const [low, high] = all.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
  const steps = Math.max(...series.map(({ values, first }) => first + values.length), 2);
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 800 240");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${steps} steps from ${low} to ${high}`);
  for (const { values, first, color } of series) {
    const points = values
      .map((value, index) => [10 + (780 * (first + index)) / (steps - 1), 230 - (220 * (value - low)) / (high - low || 1)])
      .filter(([, y]) => Number.isFinite(y));
    const line = document.createElementNS(space, "polyline");
    line.setAttribute("points", points.map((point) => point.map((number) => number.toFixed(1)).join(",")).join(" "));
    line.setAttribute("fill", "none");
    line.setAttribute("stroke", color);
    line.setAttribute("stroke-width", "1.5");
    svg.append(line);
  }
  $("plot").append(svg);
}

// texts, piece by piece: by XMLHttpRequest, which, unlike fetch, counts as loading until the last piece is there

let writing = null;

async function generate() {
  $("stop").disabled = false;
  const search = model.task === "seqmodels.tasks.Seq2Seq";
  const options = search ? {} : { length: Number($("length").value), temperature: Number($("temperature").value) };
  $("text").textContent = search ? "" : $("prompt").value;
  try {
    await events("v1/generate", { prompt: $("prompt").value, stream: true, ...options }, (name, data) => {
      if (name === "text") $("text").textContent += data.text;
      if (name === "error") $("error").textContent = wording(data.error);
    });
  } finally {
    $("stop").disabled = true;
  }
}

function events(path, body, receive) {
  return new Promise((resolve, reject) => {
    let read = 0;
    writing = new XMLHttpRequest();
    writing.open("POST", path);
    writing.setRequestHeader("Content-Type", "application/json");
    if ($("token").value) writing.setRequestHeader("Authorization", `Bearer ${$("token").value}`);
    const take = () => {
      if (writing.status !== 200) return;
      const end = writing.responseText.lastIndexOf("\n\n");
      if (end < read) return;
      for (const block of writing.responseText.slice(read, end).split("\n\n")) {
        const [, name, data] = block.match(/^event: (\w+)\ndata: (.*)$/);
        receive(name, JSON.parse(data));
      }
      read = end + 2;
    };
    writing.onprogress = take;
    writing.onload = () => {
      take();
      if (writing.status === 200) resolve();
      else reject(new Error(wording(JSON.parse(writing.responseText).error)));
    };
    writing.onerror = () => reject(new Error("the connection was lost"));
    writing.onabort = resolve;
    writing.send(JSON.stringify(body));
  });
}

function listen() {
  $("file").addEventListener("change", () => {
    $("player").src = URL.createObjectURL($("file").files[0]);
    $("player").hidden = false;
  });
  $("access").addEventListener("submit", (event) => {
    event.preventDefault();
    told(open)();
  });
  $("predict").addEventListener("click", told(predict));
  $("generate").addEventListener("click", told(generate));
  $("stop").addEventListener("click", () => writing.abort());
}

listen();
told(async () => {
  await open();
  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.has("input")) {
    $("input").value = asked.get("input");
    await predict();
  }
  if (asked.has("prompt")) {
    $("prompt").value = asked.get("prompt");
    await generate();
  }
})();
