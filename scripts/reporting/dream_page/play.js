/* The first view: a person or C plays the dream. */
"use strict";

const SHOWN = 6; // dimensions of z that the play view shows
const PAUSE_BEFORE_NEXT = 1800; // milliseconds between C's dreams
const TOO_SOON = 600; // milliseconds in which a key still held does not begin the next dream
const GLOW_EVERY = 6; // steps; without a graphics card each one costs as much as decoding a frame (measured)
const YOU = -1; // among players: the person; controllers count from 0

/* What a person's hands do to the action: keys, pads, sliders and touches, one target for each control. */
class Hands {
  constructor(controls, squash) {
    this.controls = controls.map((control, a) => {
      const ends = squash[a].map((point) => point[1]);
      const low = Math.min(...ends), high = Math.max(...ends);
      return { ...control, low, high, rest: Math.max(low, Math.min(high, 0)) };
    });
    this.held = this.controls.map(() => ({ minus: new Set(), plus: new Set() }));
    this.dragged = this.controls.map(() => null);
    this.values = this.controls.map((control) => control.rest);
  }

  /* Where a key belongs: [control, "minus" | "plus"], or undefined. */
  ofKey(key) {
    for (const [a, control] of this.controls.entries()) {
      for (const side of ["minus", "plus"]) if (control[side]?.keys.includes(key)) return [a, side];
    }
    return undefined;
  }

  hold(a, side, source) {
    this.held[a][side].add(source);
  }

  release(source) {
    for (const sides of this.held) for (const side of ["minus", "plus"]) sides[side].delete(source);
  }

  releaseAll() {
    for (const sides of this.held) for (const side of ["minus", "plus"]) sides[side].clear();
    this.dragged.fill(null);
  }

  /* Move every value towards its target, and return the action [A]. */
  next() {
    this.values = this.values.map((value, a) => value + (this.target(a) - value) * this.controls[a].rate);
    return this.values;
  }

  target(a) {
    const { low, high, rest } = this.controls[a], { minus, plus } = this.held[a];
    if (this.dragged[a] !== null) return this.dragged[a];
    if (minus.size && !plus.size) return low;
    return plus.size && !minus.size ? high : rest;
  }
}

class Play {
  constructor(client, session) {
    Object.assign(this, { client, session });
    this.hands = new Hands(spec.words.controls, spec.squash);
    this.player = spec.controllers.length ? 0 : YOU;
    this.temperature = this.defaultTemperature();
    this.history = [];
    this.best = { you: -Infinity, c: -Infinity };
    this.strip = new Strip($("strip"));
    this.projector = new Projector({
      client,
      lane: "play",
      canvas: $("screen"),
      dims: spec.active.slice(0, SHOWN),
      choose: () => this.choose(),
      temperature: () => this.temperature,
      seen: (view) => this.seen(view),
    });
    this.buildPlayers();
    this.buildPads();
    this.buildInstruments();
    this.listen();
    this.setTemperature(this.temperature);
    this.setPlayer(this.player);
  }

  defaultTemperature() {
    return spec.controllers.length ? spec.controllers[0].temperature : spec.temperature;
  }

  start() {
    this.projector.running = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.showRunning();
    return this.restart();
  }

  /* --- the page's parts --- */

  buildPlayers() {
    const option = (player, name, detail) => {
      const radio = make("input", { type: "radio", name: "player", value: player, "data-player": player });
      radio.addEventListener("change", () => this.setPlayer(player));
      return make("label", {}, radio, make("span", { text: name }, make("small", { text: detail })));
    };
    const controllers = spec.controllers.map(({ real }, n) => {
      return option(n, controllerName(n), real ? `real task: ${whole(real.mean)}` : "the agent");
    });
    $("players").append(option(YOU, "You", "keys or touch"), ...controllers);
  }

  buildPads() {
    this.sliders = [];
    this.hands.controls.forEach((control, a) => {
      const { low, high, rest, name } = control;
      const slider = make("input", { type: "range", min: low, max: high, step: "any", "aria-label": name, id: `hand-${a}` });
      slider.value = rest;
      slider.addEventListener("input", () => {
        this.takeOver();
        this.hands.dragged[a] = Number(slider.value);
      });
      for (const end of ["pointerup", "pointercancel", "blur"]) {
        slider.addEventListener(end, () => (this.hands.dragged[a] = null));
      }
      this.sliders.push(slider);
      $("pads").append(make("div", { class: "pad" }, this.pad(a, "minus"), slider, this.pad(a, "plus")));
    });
  }

  /* The button of one end of a control, held as long as it is pressed. */
  pad(a, side) {
    const end = this.hands.controls[a][side];
    if (!end) return make("span", { class: "hint", text: this.hands.controls[a].name });
    const source = `pad-${a}-${side}`, arrows = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
    const button = make("button", { type: "button", id: source, text: capital(end.label) });
    if (end.keys.length) button.append(make("kbd", { text: arrows[end.keys[0]] || end.keys[0].toUpperCase() }));
    const press = (event) => {
      if (event.type === "keydown" && ![" ", "Enter"].includes(event.key)) return;
      event.preventDefault();
      if (event.pointerId !== undefined) button.setPointerCapture?.(event.pointerId);
      this.act(a, side, source);
    };
    const release = () => this.hands.release(source);
    for (const type of ["pointerdown", "keydown"]) button.addEventListener(type, press);
    for (const type of ["pointerup", "pointercancel", "lostpointercapture", "keyup", "blur"]) {
      button.addEventListener(type, release);
    }
    return button;
  }

  buildInstruments() {
    const { words, model, unit } = spec;
    $("unit").textContent = capital(unit);
    $("meter").hidden = !model.done;
    $("meter-label").textContent = `Probability of ${words.end}`;
    $("trace").setAttribute("aria-label", `Probability of ${words.end} in the last ${TRACE} steps`);
    $("tagline").textContent = `${words.title}. ${words.about}`;
    const ends = this.hands.controls.flatMap((control) => [control.minus, control.plus]).filter(Boolean);
    const keys = ends.map((end) => `${end.label}: ${end.keys[0] || "its button"}`).join(", ");
    $("stage").setAttribute("aria-label", `${words.title}, dreamt by M`);
    $("stage-help").textContent = `${words.about} ${keys}. Space pauses, N steps, R restarts, C hands over to the controller.`;
    [$("temperature").min, $("temperature").max] = spec.temperatures;
    $("single").disabled = false;
  }

  /* --- events --- */

  listen() {
    document.addEventListener("keydown", (event) => this.keyDown(event));
    document.addEventListener("keyup", (event) => this.hands.release(event.key));
    window.addEventListener("blur", () => this.hands.releaseAll());
    const stage = $("stage");
    for (const type of ["pointerdown", "pointermove"]) stage.addEventListener(type, (event) => this.touch(event));
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) {
      stage.addEventListener(type, (event) => this.hands.release(`touch-${event.pointerId}`));
    }
    $("pause").addEventListener("click", () => this.setRunning(!this.projector.running));
    $("single").addEventListener("click", () => this.single());
    $("restart").addEventListener("click", () => this.restart());
    $("again").addEventListener("click", () => this.restart());
    $("temperature").addEventListener("input", () => this.setTemperature(Number($("temperature").value)));
  }

  /* Keys belong to the view unless a control that has the focus uses them itself. */
  keyDown(event) {
    if (this.hidden || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const target = event.target, key = event.key;
    const typing = target.matches("input:not([type=radio]), select, textarea, [role=tab]");
    const radio = target.matches("input[type=radio]") && key.startsWith("Arrow");
    const pressing = target.matches("button, a") && (key === " " || key === "Enter");
    if (typing || radio || pressing) return;
    const end = this.hands.ofKey(key);
    if (end) {
      event.preventDefault();
      if (!event.repeat) this.act(...end, key);
    } else if (!this.command(key, event)) this.anyKey(key);
  }

  /* Keys that command the page; true where this was one. */
  command(key, event) {
    const commands = {
      " ": () => (this.projector.over ? this.restart() : this.setRunning(!this.projector.running)),
      n: () => this.single(),
      r: () => this.restart(),
      c: () => spec.controllers.length && this.setPlayer(0),
    };
    const command = commands[key.toLowerCase()];
    if (!command) return false;
    event.preventDefault();
    if (!event.repeat) command();
    return true;
  }

  /* Any other key takes over from C, but those that only accompany or move the focus. */
  anyKey(key) {
    if (key.length === 1 || key === "Enter" || key.startsWith("Arrow")) this.takeOver();
  }

  /* A touch on a half of the stage is the first control's. */
  touch(event) {
    if (event.target.closest("button") || (event.type === "pointermove" && !event.buttons)) return;
    event.preventDefault();
    const box = $("stage").getBoundingClientRect(), source = `touch-${event.pointerId}`, first = this.hands.controls[0];
    if (event.type === "pointerdown") {
      $("stage").focus({ preventScroll: true });
      $("stage").setPointerCapture(event.pointerId);
    }
    const side = event.clientX < box.left + box.width / 2 ? "minus" : "plus";
    this.hands.release(source);
    this.act(0, first[side] ? side : side === "minus" ? "plus" : "minus", source);
  }

  /* A person acts: C lets go, a finished dream begins anew, a paused one goes on. */
  act(a, side, source) {
    this.takeOver();
    this.hands.hold(a, side, source);
    if (this.projector.over && performance.now() - this.endedAt > TOO_SOON) this.restart();
  }

  takeOver() {
    if (this.player !== YOU) this.setPlayer(YOU);
  }

  /* --- what can be done --- */

  setPlayer(player) {
    this.player = player;
    this.players.add(player);
    this.hands.releaseAll();
    if (player === YOU) this.hands.values = this.hands.values.map((_, a) => Number(this.sliders[a].value));
    for (const radio of document.querySelectorAll("[name=player]")) radio.checked = Number(radio.value) === player;
    for (const slider of this.sliders) slider.classList.toggle("agent", player !== YOU);
    const means = matchMedia("(pointer: coarse)").matches ? "touch" : "any key";
    const who = player === YOU ? "You play" : `${controllerName(player)} plays`;
    $("badge").textContent = player === YOU ? who : `${who}: ${means} takes over`;
    if (this.frames) announce(who);
    $("badge").style.setProperty("--dot", player === YOU ? "#ff9a4a" : "#6fb4f5");
    if (player !== YOU && this.projector.over && this.endedAt) this.restart();
  }

  get players() {
    return (this.whoPlayed ||= new Set());
  }

  setTemperature(temperature) {
    this.temperature = temperature;
    this.changed ||= new Set();
    this.changed.add(temperature);
    $("temperature").value = temperature;
    $("temperature-value").textContent = temperature.toFixed(2);
    $("temperature").setAttribute("aria-valuetext", `${temperature.toFixed(2)}, ${temperatureWords(temperature)}`);
    $("temperature-hint").textContent = capital(temperatureWords(temperature)) + ".";
  }

  setRunning(running) {
    this.projector.running = running;
    this.showRunning();
  }

  showRunning() {
    const running = this.projector.running;
    $("pause").replaceChildren(running ? "Pause" : "Go on", make("kbd", { text: "space" }));
    $("pause").setAttribute("aria-pressed", String(!running));
  }

  single() {
    this.setRunning(false);
    return this.projector.step();
  }

  async restart(seed) {
    clearTimeout(this.next);
    $("curtain").hidden = true;
    this.history = [];
    this.whoPlayed = new Set([this.player]);
    this.changed = new Set([this.temperature]);
    this.strip.clear();
    this.hands.values = this.hands.controls.map((control) => control.rest);
    await this.projector.restart(seed);
  }

  choose() {
    return this.player === YOU ? { action: this.hands.next() } : { controller: this.player };
  }

  /* --- what is shown --- */

  seen(view) {
    const { done, reward } = spec.model, score = reward ? view.score : view.steps;
    $("now").textContent = $("count").textContent = whole(score);
    view.action?.forEach((value, a) => {
      if (this.hands.dragged[a] === null) this.sliders[a].value = value;
    });
    for (const [a, sides] of this.hands.held.entries()) {
      for (const side of ["minus", "plus"]) $(`pad-${a}-${side}`)?.classList.toggle("held", this.shownHeld(a, side, view));
    }
    if (done) this.showProbability(view);
    if (view.steps % GLOW_EVERY === 0) $("glow").getContext("2d").drawImage($("screen"), 0, 0, 8, 8);
    this.strip.add($("screen"), view.steps);
    drawMixtures($("mixtures"), this.projector.dims, view.values, view.mixtures);
    this.frames = (this.frames || 0) + 1;
    if (this.projector.over && view.steps > 0) this.ended(view, score);
  }

  /* Whether an end of a control is in use, by a person's hand or by C's. */
  shownHeld(a, side, view) {
    if (this.player === YOU) return this.hands.held[a][side].size > 0;
    const { low, high, rest } = this.hands.controls[a], value = view.action?.[a] ?? rest;
    return side === "minus" ? value < rest - (rest - low) / 3 : value > rest + (high - rest) / 3;
  }

  showProbability({ probability, steps }) {
    if (steps > 0) this.history.push(probability);
    if (this.history.length > TRACE) this.history.shift();
    $("probability").textContent = percent(probability);
    $("bar").style.transform = `scaleX(${probability})`;
    drawTrace($("trace"), this.history, colours.accent);
  }

  ended(view, score) {
    this.endedAt = performance.now();
    const alone = this.players.size === 1 ? [...this.players][0] : null, temperatures = [...this.changed];
    const who = alone === null ? "you and C" : alone === YOU ? "you" : controllerName(alone);
    const temperature = temperatures.length === 1 ? temperatures[0] : null;
    const record = this.noteBest(alone, score);
    this.session.add({ who, player: alone, temperature, score, steps: view.steps });
    const outlived = !view.over;
    const line = outlived ? `Outlived the dream: ${plural(view.steps, "step")}` : `The dream ended after ${plural(view.steps, "step")}`;
    const why = outlived ? "a dream has no more" : `M’s probability of ${spec.words.end}: ${percent(view.probability)}`;
    const detail = `${record ? "a new best; " : ""}${why}`;
    $("verdict").replaceChildren(line, make("small", { text: detail }));
    $("curtain").hidden = false;
    announce(`${line}. ${detail}.`);
    if (this.player !== YOU && this.projector.running) this.next = setTimeout(() => this.restart(), PAUSE_BEFORE_NEXT);
  }

  /* Keep the best of the person and of C; true for a new one. */
  noteBest(alone, score) {
    if (alone === null) return false;
    const key = alone === YOU ? "you" : "c", first = this.best[key] === -Infinity, better = score > this.best[key];
    if (better) {
      this.best[key] = score;
      $(`best-${key}`).textContent = whole(score);
    }
    return better && !first;
  }
}

/* What a temperature means, in words. */
function temperatureWords(temperature) {
  if (temperature <= 0.3) return "M draws its likeliest guess almost every time";
  if (temperature < 0.9) return "calmer than what M has learned";
  if (temperature <= 1.05) return "the chances that M has learned";
  if (temperature <= 1.4) return "a little wilder than what M has learned, so that its mistakes are hard to exploit";
  return "far wilder than what M has learned";
}
