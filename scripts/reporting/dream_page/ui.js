/* What all views share: the description, the worker's client, words, colours, drawing. */
"use strict";

const SIDE = 64; // pixels along a side of a frame
const spec = JSON.parse(document.getElementById("spec").textContent);
const $ = (id) => document.getElementById(id);

/* --- elements and words --- */

/* Return a new element with properties (class, text, on..., attributes) and children. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const whole = (number) => (Math.round(number) || 0).toLocaleString("en-US"); // "|| 0": no minus zero
const plural = (count, word) => `${whole(count)} ${word}${count === 1 ? "" : "s"}`;
const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`);
const tau = (temperature) => `τ ${temperature.toFixed(2)}`;
const capital = (text) => text[0].toUpperCase() + text.slice(1);

/* Return "mean ± std [low, high] (N)", or a dash. */
function scoreText(score) {
  if (!score) return "–";
  const interval = score.ci95 ? ` [${whole(score.ci95[0])}, ${whole(score.ci95[1])}]` : "";
  return `${whole(score.mean)} ± ${whole(score.std)}${interval} (${whole(score.episodes)})`;
}

/* Return a short name of a controller of this file. */
function controllerName(n) {
  const player = spec.controllers[n];
  return spec.controllers.length > 1 ? `C, ${tau(player.temperature)}` : "C";
}

/* Tell a screen reader, whatever is being looked at. */
function announce(text) {
  $("announcer").textContent = text;
}

/* Fill a table with rows of text, the first being the heads. */
function fillTable(table, rows) {
  table.replaceChildren(
    ...rows.map((row, n) => make("tr", {}, ...row.map((cell) => make(n ? "td" : "th", { text: cell })))),
  );
}

const newSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];

/* --- the worker --- */

/* Asks the worker; `ask` returns a promise of its answer. */
class Client {
  constructor(source) {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    this.worker = new Worker(url);
    this.waiting = new Map();
    this.last = 0;
    this.worker.onmessage = ({ data }) => this.answered(data);
    this.worker.onerror = (event) => {
      for (const { reject } of this.waiting.values()) reject(new Error(event.message || "the worker did not start"));
      this.waiting.clear();
    };
  }

  ask(call, words = {}, progress = null) {
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, progress });
      this.worker.postMessage({ id, call, ...words }, words.buffer ? [words.buffer] : []);
    });
  }

  answered({ id, result, error, progress }) {
    const asked = this.waiting.get(id);
    if (!asked) return;
    if (progress) return void asked.progress?.(progress);
    this.waiting.delete(id);
    if (error) asked.reject(new Error(error));
    else asked.resolve(result);
  }
}

/* --- drawing --- */

/* Put a frame's RGBA bytes on a canvas of 64 x 64. */
function putFrame(canvas, buffer) {
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(buffer), SIDE, SIDE), 0, 0);
}

/* Return the context of a canvas sized to its place on the page, in CSS pixels, cleared. */
function sizedContext(canvas, height) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/* The page's colours as they are now, read again when the scheme changes. */
const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "soft", "line", "accent", "you", "c", "game", "random", "track", "panel"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
}
readColours();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);

/* --- a dream being watched --- */

/* Runs one lane of the worker at the task's pace: a step is asked for when it is due and the last one has come. */
class Projector {
  /* choose(): {action} or {controller} of the next step. temperature(): of it. seen(view): after each step and start. */
  constructor({ client, lane, canvas, choose, temperature, seen, dims = null }) {
    Object.assign(this, { client, lane, canvas, choose, temperature, seen, dims });
    this.running = this.busy = false;
    this.over = true;
    this.due = 0;
    this.period = 1000 / spec.frames_per_second;
    this.buffer = null;
    this.generation = 0;
  }

  async restart(seed = newSeed()) {
    const generation = ++this.generation;
    this.over = true; // no step until the start has come
    const view = await this.ask("start", { seed });
    if (generation !== this.generation) return;
    this.over = false;
    this.show(view);
  }

  /* Take one step now; true where it was shown. */
  async step() {
    if (this.busy || this.over) return false;
    const generation = this.generation;
    const view = await this.ask("step", this.choose());
    if (generation !== this.generation) return false;
    this.over = view.over || view.steps >= spec.time_limit;
    this.show(view);
    return true;
  }

  async ask(call, words) {
    const { lane, dims, buffer } = this;
    this.buffer = null;
    this.busy = true;
    try {
      return await this.client.ask(call, { lane, dims, buffer, temperature: this.temperature(), ...words });
    } finally {
      this.busy = false;
    }
  }

  show(view) {
    putFrame(this.canvas, view.frame);
    this.buffer = view.frame;
    this.seen(view);
  }

  tick(now) {
    if (!this.running || this.busy || this.over || now < this.due - 2) return;
    this.due = Math.max(this.due + this.period, now - this.period);
    this.step();
  }
}
