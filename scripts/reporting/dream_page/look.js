/* The other views: V's latent space, the exploited dream, scores, and what this is. */
"use strict";

/* --- V's latent space --- */

class Explorer {
  constructor(client, { pixels, mu, logvar }) {
    Object.assign(this, { client, pixels, mu, logvar });
    this.size = spec.model.z;
    this.count = mu.length / this.size;
    this.z = new Float32Array(this.size);
    this.shown = 12;
    $("z-size").textContent = this.size;
    this.buildThumbs();
    this.buildSliders();
    $("z-mean").addEventListener("click", () => this.setZ(this.mean()));
    $("z-sample").addEventListener("click", () => this.setZ(this.sample()));
    $("z-random").addEventListener("click", () => this.setZ(Array.from(this.z, normal)));
    $("more").addEventListener("click", () => this.showSliders(this.shown === this.size ? 12 : this.size));
    this.showSliders(Math.min(12, this.size));
  }

  /* RGBA bytes of a real frame. */
  frame(n) {
    const rgba = new Uint8ClampedArray(4 * SIDE * SIDE), from = n * 3 * SIDE * SIDE;
    for (let i = 0, j = from; i < rgba.length; i += 4, j += 3) {
      rgba.set([this.pixels[j], this.pixels[j + 1], this.pixels[j + 2], 255], i);
    }
    return rgba.buffer;
  }

  buildThumbs() {
    for (let n = 0; n < this.count; n++) {
      const canvas = make("canvas", { width: SIDE, height: SIDE });
      putFrame(canvas, this.frame(n));
      const button = make("button", { type: "button", role: "radio", "aria-label": `real frame ${n + 1}`, "data-frame": n }, canvas);
      button.addEventListener("click", () => this.pick(n));
      button.addEventListener("keydown", (event) => this.thumbKey(event, n));
      $("thumbs").append(button);
    }
  }

  thumbKey(event, n) {
    const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const next = (n + move + this.count) % this.count;
    this.pick(next);
    $("thumbs").children[next].focus();
  }

  buildSliders() {
    this.sliders = spec.active.map((d) => {
      const slider = make("input", { type: "range", min: -4, max: 4, step: 0.05, "aria-label": `z ${d}`, "data-dim": d });
      const output = make("output");
      slider.addEventListener("input", () => {
        this.z[d] = Number(slider.value);
        output.textContent = this.z[d].toFixed(2);
        this.decode();
      });
      const label = make("label", {}, make("span", { text: `z${d}` }), slider, output);
      $("sliders").append(label);
      return { d, slider, output, label };
    });
  }

  showSliders(shown) {
    this.shown = shown;
    this.sliders.forEach(({ label }, n) => (label.hidden = n >= shown));
    $("more").textContent = shown === this.size ? "Only the first twelve" : `All ${this.size}`;
    $("more").hidden = this.size <= 12;
  }

  pick(n) {
    this.picked = n;
    [...$("thumbs").children].forEach((button, i) => {
      button.setAttribute("aria-checked", String(i === n));
      button.tabIndex = i === n ? 0 : -1;
    });
    putFrame($("real"), this.frame(n));
    return this.setZ(this.mean());
  }

  mean() {
    return this.mu.slice(this.picked * this.size, (this.picked + 1) * this.size);
  }

  sample() {
    const from = this.picked * this.size;
    return Array.from(this.mean(), (mu, d) => mu + Math.exp(0.5 * this.logvar[from + d]) * normal());
  }

  setZ(z) {
    this.z = Float32Array.from(z);
    for (const { d, slider, output } of this.sliders) {
      slider.value = this.z[d];
      output.textContent = this.z[d].toFixed(2);
    }
    return this.decode();
  }

  /* Decode the latest z; those that came while one was being decoded are passed over. */
  async decode() {
    this.wanted = true;
    if (this.decoding) return;
    this.decoding = true;
    while (this.wanted) {
      this.wanted = false;
      const { frame } = await this.client.ask("decode", { z: this.z });
      putFrame($("decoded"), frame);
    }
    this.decoding = false;
  }
}

/* A standard normal number (Box and Muller). */
function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

/* --- the exploited dream --- */

/* Two dreams side by side: the lowest temperature that a controller was trained at with that controller, and another. */
class Duel {
  constructor(client) {
    this.client = client;
    const order = spec.controllers.map((_, n) => n).sort((a, b) => this.tau(a) - this.tau(b));
    const cold = order[0], warm = order.find((n) => this.tau(n) > this.tau(cold)) ?? cold;
    const low = this.tau(cold) <= 0.5 ? this.tau(cold) : spec.temperatures[0];
    const high = warm === cold ? Math.max(this.tau(warm), spec.temperature) : this.tau(warm);
    this.lanes = [this.lane("left", cold, low), this.lane("right", warm, high)];
    this.restart = this.restart.bind(this);
    $("exploited-text").textContent = spec.words.exploited;
    $("duel-pause").addEventListener("click", () => this.setRunning(!this.running));
    $("duel-again").addEventListener("click", () => this.restart());
    this.setRunning(true);
    this.fillTable();
  }

  tau(n) {
    return spec.controllers[n].temperature;
  }

  lane(name, controller, temperature) {
    const canvas = make("canvas", { class: "screen", width: SIDE, height: SIDE, role: "img", "aria-label": `The dream at ${tau(temperature)}` });
    const count = make("p", { class: "count", text: "0" }), trace = make("canvas", { class: "trace" });
    const { trained_in: world } = spec.controllers[controller];
    const trained = world !== "dream" ? "in the real task" : this.tau(controller) === temperature ? "in this very dream" : `at ${tau(this.tau(controller))}`;
    const caption = make("figcaption", { text: `C, trained ${trained}` });
    const figure = make("figure", {}, make("h2", { text: tau(temperature) }), make("div", { class: "stage" }, canvas, count));
    if (spec.model.done) figure.append(trace);
    figure.append(caption);
    $("duel").append(figure);
    const lane = { figure, history: [], temperature };
    lane.projector = new Projector({
      client: this.client,
      lane: name,
      canvas,
      choose: () => ({ controller }),
      temperature: () => temperature,
      seen: (view) => this.seen(lane, view, { count, trace, caption, trained }),
    });
    return lane;
  }

  seen(lane, view, { count, trace, caption, trained }) {
    count.textContent = whole(spec.model.reward ? view.score : view.steps);
    if (view.steps > 0) lane.history.push(view.probability);
    if (lane.history.length > TRACE) lane.history.shift();
    if (spec.model.done) drawTrace(trace, lane.history, lane === this.lanes[0] ? colours.c : colours.accent);
    const over = lane.projector.over && view.steps > 0;
    lane.figure.classList.toggle("over", over);
    caption.textContent = over ? `ended after ${plural(view.steps, "step")}` : `C, trained ${trained}`;
    if (this.lanes.every(({ projector }) => projector.over) && over) setTimeout(this.restart, 2500);
  }

  async restart() {
    const seed = newSeed();
    for (const lane of this.lanes) lane.history = [];
    await Promise.all(this.lanes.map(({ projector }) => projector.restart(seed)));
  }

  setRunning(running) {
    this.running = running;
    for (const { projector } of this.lanes) projector.running = running;
    $("duel-pause").textContent = running ? "Pause" : "Go on";
  }

  fillTable() {
    const rows = spec.controllers.map((player, n) => [controllerName(n), scoreText(player.dream), scoreText(player.real)]);
    const random = spec.baselines.find(({ name }) => name === "random");
    if (random) rows.push(["random actions", "", scoreText(random)]);
    fillTable($("duel-table"), [["", `in its own dream, ${spec.unit}`, "in the real task"], ...rows]);
  }
}

/* --- scores --- */

/* The dreams of this browser session, and C's survey, beside the run's evaluations. */
class Session {
  constructor(client) {
    this.client = client;
    this.dreams = [];
    this.surveyed = null;
    this.survey = this.survey.bind(this);
    $("survey").addEventListener("click", this.survey);
    const first = spec.controllers[0];
    $("survival-text").textContent = first
      ? `What C does in the real task, in this dream by the run’s evaluation, and in the dreams of this session; each curve is the share of episodes that score at least so much.`
      : `The dreams of this session: the share that scores at least so much.`;
    $("survey-tau").textContent = first ? tau(first.temperature) : "";
    document.querySelector(".survey").hidden = !first;
  }

  add(dream) {
    this.dreams.push(dream);
    if (this.dreams.length > 5000) this.dreams.shift();
    if (!this.hidden) this.show();
  }

  /* Scores of this session at the first controller's temperature. */
  scoresOf(player) {
    const temperature = spec.controllers[0]?.temperature ?? spec.temperature;
    return this.dreams.filter((d) => d.player === player && d.temperature === temperature).map((d) => d.score);
  }

  show() {
    const first = spec.controllers[0], random = spec.baselines.find(({ name }) => name === "random");
    const at = tau(first?.temperature ?? spec.temperature);
    const curves = [
      { name: "random, real task", scores: random?.scores, colour: "var(--random)", dash: "2 4" },
      { name: "C, real task", scores: first?.real?.scores, colour: "var(--game)", width: 2.5 },
      { name: `C, dream at ${at}, evaluated`, scores: first?.dream?.scores, colour: "var(--c)", dash: "7 5" },
      { name: `C, dream at ${at}, here`, scores: this.surveyed?.scores || this.scoresOf(0), colour: "var(--c)", width: 2.5 },
      { name: `you, dream at ${at}, here`, scores: this.scoresOf(YOU), colour: "var(--you)", width: 2.5 },
    ].filter((curve) => curve.scores?.length);
    const width = Math.max(280, $("survival-chart").clientWidth);
    $("survival-chart").replaceChildren(curves.length ? survivalChart(curves, spec.unit, width) : "No scores yet: play a dream.");
    $("survival-legend").replaceChildren(...curves.map(legendEntry));
    this.showTable();
  }

  showTable() {
    const groups = new Map();
    for (const { who, temperature, score } of this.dreams) {
      const key = `${who}, ${temperature === null ? "changing τ" : tau(temperature)}`;
      groups.set(key, [...(groups.get(key) || []), score]);
    }
    const rows = [...groups].map(([key, scores]) => [key, whole(scores.length), whole(Math.max(...scores)), whole(moments(scores).mean)]);
    const heads = ["dreams of this session", "number", "best", "mean"];
    fillTable($("session-table"), rows.length ? [heads, ...rows] : []);
  }

  async survey() {
    if (this.surveying) return void this.client.ask("stop");
    const dreams = Math.max(2, Math.min(2000, Number($("survey-count").value) || 200)), progress = $("survey-progress");
    const temperature = spec.controllers[0].temperature;
    this.surveying = true;
    $("survey").textContent = "Stop";
    progress.hidden = false;
    [progress.max, progress.value] = [dreams, 0];
    const words = { controller: 0, temperature, dreams, seed: newSeed() };
    const result = await this.client.ask("survey", words, ({ done, score }) => {
      progress.value = done;
      $("survey-result").textContent = `${plural(done, "dream")}; the last one: ${whole(score)}`;
    });
    this.surveying = false;
    $("survey").textContent = "Start";
    progress.hidden = true;
    this.finish(result);
  }

  finish(result) {
    if (!result.scores.length) return void ($("survey-result").textContent = "stopped");
    this.surveyed = result;
    const known = spec.controllers[0].dream;
    const beside = known ? `; the run’s evaluation: ${scoreText(known)}` : "";
    $("survey-result").textContent = `Here: ${scoreText(result)}${beside}`;
    this.show();
  }
}

function legendEntry({ name, scores, colour, dash, width }) {
  const line = make("i", { style: `border-color:${colour};border-top-style:${dash ? "dashed" : "solid"};border-top-width:${width || 2}px` });
  return make("li", {}, line, `${name}: ${whole(moments(scores).mean)} (${whole(scores.length)})`);
}

/* --- about --- */

/* Say what this is and where it came from. */
function fillAbout(view, measured) {
  const { words, model } = spec, first = spec.controllers[0];
  const numbers = (name) => spec.arrays[name]?.count || 0;
  const total = Object.keys(spec.arrays).filter((n) => !/^(frame|initial)/.test(n)).reduce((sum, n) => sum + numbers(n), 0);
  const facts = [
    ["Paper", "Ha and Schmidhuber, World Models (2018), arXiv:1803.10122"],
    ["Task", `${words.title} (${spec.task})`],
    ["Run", `${spec.run}, preset ${spec.preset}, commit ${spec.commit}`],
    ["V’s decoder, M, C", `${whole(total)} weights in half precision; z ${model.z}, h ${model.hidden}, ${model.mixtures} mixtures`],
    ...spec.controllers.map((player, n) => [
      `${controllerName(n)}`,
      `${player.name}, ${whole(player.size)} weights; real task ${scoreText(player.real)}; its dream ${scoreText(player.dream)}` +
        (player.paper ? `; paper ${scoreText(player.paper)}` : ""),
    ]),
    ["This machine", measured],
    ["Made with", `python scripts/dream_page.py --run ${spec.run}`],
  ];
  view.replaceChildren(
    make("p", { class: "lead", text: `No game engine runs here. ${first ? "C acts on z and h, " : ""}M, a recurrent network, predicts a mixture of normals for each number of the next z; one is drawn, fed back to M, and decoded by V into the frame you see.` }),
    make("p", { text: `Everything is in this one file: the networks trained by this run, and the few hundred lines of JavaScript that compute them. No request leaves the page. Scores: mean ± standard deviation [95 % interval of the mean] (episodes), in ${spec.unit}.` }),
    make("dl", {}, ...facts.flatMap(([name, text]) => [make("dt", { text: name }), make("dd", { text })])),
    make("p", { text: "Keys: the arrows act, C hands over to the controller and any key takes over again, space pauses, N takes one step, R begins anew. On a phone, hold a half of the frame, or the buttons below it." }),
  );
}
