"use strict";

// Tries a model through the same endpoints as any other client. Links can say what to try: #input=TEXT or #prompt=TEXT.

const $ = (id) => document.getElementById(id);
const CHANNELS = 6; // that are drawn
const HOW = {
  text: "A text per line.",
  series: "A step per line, its channels separated by commas; with a first line of names, the rows of a table.",
  recording: "A recording: a file in WAV, FLAC, Ogg or MP3.",
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
  const parts = [model.network, model.cell].filter(Boolean).map((path) => path.split(".").pop());
  $("about").textContent = `${parts.join(" with ")}, ${model.parameters.toLocaleString("en")} parameters`;
  const recording = model.reads === "recording";
  $("how").textContent = HOW[model.reads];
  $("input").hidden = recording;
  $("upload").hidden = !recording;
  $("reading").hidden = false;
  $("writing").hidden = !model.generates || pairs();
  $("search").hidden = !pairs();
}

const pairs = () => model.task === "seqmodels.tasks.Seq2Seq";

// the input of the page as the body of a request

function body() {
  const lines = $("input").value.split("\n").filter((line) => line.trim() !== "");
  if (pairs()) {
    const outputs = Number($("outputs").value);
    return { inputs: lines, options: { beam: Math.max(Number($("beam").value), outputs), n_best: outputs } };
  }
  if (model.reads === "text") return { inputs: lines };
  const cells = lines.map((line) => line.split(",").map((cell) => cell.trim()));
  const numeric = (row) => row.every((cell) => cell !== "" && Number.isFinite(Number(cell)));
  if (cells.length > 0 && !numeric(cells[0])) {
    const [names, ...rows] = cells;
    return { rows: rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index] ?? ""]))) };
  }
  const steps = cells.length === 1 && model.channels === 1 ? cells[0].map((cell) => [cell]) : cells;
  return { inputs: [steps.map((row) => row.map(Number))] };
}

async function predict() {
  $("answer").replaceChildren();
  if (model.reads === "recording") {
    const file = $("file").files[0];
    if (!file) throw new Error("choose a sound file");
    const sent = { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file };
    show((await (await request("v1/predict", sent)).json()).predictions, {});
    return;
  }
  const sent = body();
  show((await (await postJson("v1/predict", sent)).json()).predictions, sent);
}

function show(predictions, sent) {
  predictions.forEach((prediction, index) => {
    const article = element("article", null);
    const group = Object.entries(prediction.group ?? {}).map(([name, value]) => `${name}: ${value}`);
    const source = model.reads === "text" ? sent.inputs[index] : group.join(", ");
    if (source && !prediction.tokens) article.append(element("p", source, { class: "source" }));
    article.append(...shown(prediction));
    if (model.reads === "series") {
      const read = columns(sent, prediction);
      article.append(plot(read.slice(0, CHANNELS), prediction));
      if (read.length > CHANNELS) article.append(element("p", `The first ${CHANNELS} of ${read.length} channels.`));
    }
    $("answer").append(article);
  });
}

function shown(prediction) {
  const { probabilities, tags, tokens, times, values, text, candidates } = prediction;
  if (tags) return [tagged(tokens, tags)];
  if (probabilities) return [bars(prediction.label ?? (prediction.labels.join(", ") || "no label"), probabilities)];
  if (times) return Object.entries(values).map(([name, kinds]) => forecast(name, times, kinds));
  if (candidates && candidates.length > 1) {
    return [table(["score", "text"], candidates.map(([each, score]) => [score, each]))];
  }
  if (candidates) return [element("p", text || "(an empty text)", { class: "written" })];
  return [table([], Object.entries(values ?? prediction))];
}

const round = (value) => (typeof value === "number" ? Number(value.toPrecision(6)) : value ?? "");

function table(names, rows) {
  const made = element("table", null);
  if (names.length > 0) made.append(row("th", names));
  for (const [first, ...others] of rows) {
    const line = row("td", others.map(round));
    line.prepend(element("th", String(round(first))));
    made.append(line);
  }
  return made;
}

function row(kind, cells) {
  const made = element("tr", null);
  made.append(...cells.map((cell) => element(kind, typeof cell === "object" ? JSON.stringify(cell) : String(cell))));
  return made;
}

function bars(label, probabilities) {
  const made = element("table", null, { class: "classes" });
  made.append(element("caption", String(label)));
  const best = Object.entries(probabilities).sort((one, other) => other[1] - one[1]).slice(0, 20);
  for (const [name, value] of best) {
    const line = element("tr", null);
    const cell = element("td", null);
    const bar = element("span", "", { class: "bar" });
    bar.style.width = `${(100 * value).toFixed(2)}%`;
    cell.append(bar);
    line.append(element("th", name), element("td", value.toFixed(4)), cell);
    made.append(line);
  }
  return made;
}

function tagged(tokens, tags) {
  const made = element("p", null);
  tokens.forEach((token, index) => {
    const word = element("span", token, { class: "token" });
    word.append(element("small", tags[index]));
    made.append(word);
  });
  return made;
}

function forecast(name, times, kinds) {
  const names = Object.keys(kinds).filter((kind) => kinds[kind]);
  const rows = times.map((time, index) => [time, ...names.map((kind) => kinds[kind][index])]);
  const made = table(["time", ...names], rows);
  made.prepend(element("caption", name));
  return made;
}

// plots

function columns(sent, prediction) {
  if (sent.inputs) return sent.inputs[0][0].map((_, index) => sent.inputs[0].map((line) => line[index]));
  const group = Object.entries(prediction.group ?? {});
  const rows = sent.rows.filter((line) => group.every(([name, value]) => line[name] === String(value)));
  const targets = Object.keys(prediction.times ? prediction.values : {});
  const names = Object.keys(sent.rows[0]).filter((name) => targets.length === 0 || targets.includes(name));
  const numbers = names.map((name) => rows.map((line) => Number(line[name] || NaN)));
  return numbers.filter((column) => column.some(Number.isFinite));
}

function plot(read, prediction) {
  const first = Math.max(...read.map((values) => values.length), 0);
  const lines = read.map((values, index) => ({ values, first: 0, kind: "read", color: color(index, read.length) }));
  const bands = [];
  for (const { forecast: values, low, high } of Object.values(prediction.times ? prediction.values : {})) {
    lines.push({ values, first, kind: "forecast" });
    if (low && high) bands.push({ low, high });
  }
  const all = [...lines.map(({ values }) => values), ...bands.flatMap(({ low, high }) => [low, high])].flat();
  const finite = all.filter(Number.isFinite);
  const least = finite.reduce((one, other) => Math.min(one, other), Infinity);
  const most = finite.reduce((one, other) => Math.max(one, other), -Infinity);
  const steps = Math.max(...lines.map((line) => line.first + line.values.length), 2);
  const width = Math.max($("answer").clientWidth, 300);
  const x = (index) => 62 + ((width - 72) * index) / (steps - 1);
  const y = (value) => 230 - (220 * (value - least)) / (most - least || 1);
  const joined = (values, start) =>
    values.map((value, index) => [x(start + index), y(value)]).filter((point) => point.every(Number.isFinite));
  const written = (points) => points.map((each) => each.map((number) => number.toFixed(1)).join(",")).join(" ");
  const label = `${steps} steps from ${least} to ${most}`;
  const svg = drawn("svg", { viewBox: `0 0 ${width} 240`, role: "img", "aria-label": label });
  for (const { low, high } of bands) {
    const points = [...joined(low, first), ...joined(high, first).reverse()];
    svg.append(drawn("polygon", { points: written(points), class: "band" }));
  }
  for (const { values, first: start, kind, color: own } of lines) {
    svg.append(drawn("polyline", { points: written(joined(values, start)), class: kind, style: own ?? "" }));
  }
  for (const [value, height] of most > least ? [[most, 18], [least, 232]] : [[least, 225]]) {
    const text = drawn("text", { x: "4", y: String(height) });
    text.textContent = Number(value.toPrecision(4));
    svg.append(text);
  }
  return svg;
}

const color = (index, number) => (number > 1 ? `stroke: hsl(${(360 * index) / number} 55% 48%)` : "");

function drawn(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// texts, piece by piece: by XMLHttpRequest, which, unlike fetch, counts as loading until the last piece is there

let writing = null;

async function generate() {
  $("stop").disabled = false;
  const options = { length: Number($("length").value), temperature: Number($("temperature").value) };
  $("text").textContent = $("prompt").value;
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
  if (asked.has("prompt") && !$("writing").hidden) {
    $("prompt").value = asked.get("prompt");
    await generate();
  }
})();
