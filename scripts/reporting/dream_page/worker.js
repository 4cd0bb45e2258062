/* The Web Worker: answers the page's calls {id, call, ...} with {id, result} or {id, error}. It keeps the dreams and the
   networks; it sets no clock, so nothing runs that the page did not ask for. */
"use strict";

const SURVEY_SLICE = 25; // milliseconds of a survey between looks at other calls
const RESAMPLES = 10000; // of a bootstrap interval, as controller/statistics.py

const state = { dreams: {} }; // model, decoder, controllers, initial, frames; dreams by the name of their lane

const calls = {
  /* Unpack the file's arrays (base64) and build the networks; the real frames go back to the page. */
  init({ spec, text }) {
    const bytes = bytesFromBase64(text);
    if (bytes.length !== spec.bytes) throw new Error("this file is incomplete; make or copy it again");
    const arrays = unpackArrays(bytes, spec.arrays);
    state.spec = spec;
    state.model = new MDNRNN(spec.model, arrays);
    state.decoder = new Decoder({ z: spec.model.z }, arrays);
    state.initial = { mu: arrays.initial_mu, logvar: arrays.initial_logvar, cumulative: spec.initial };
    const config = (player) => ({ ...player, squash: spec.squash });
    state.controllers = spec.controllers.map((player, n) => new Controller(config(player), arrays[`controller_${n}`]));
    return { pixels: arrays.frame_pixels, mu: arrays.frame_mu, logvar: arrays.frame_logvar };
  },

  /* Begin the dream of a lane anew and show its first frame. */
  start({ lane, seed, buffer, dims, temperature }) {
    const dream = (state.dreams[lane] ||= new Dream(state.model, state.initial));
    dream.start(seed);
    return view(dream, null, buffer, dims, temperature);
  },

  /* Take a step in a lane: the action given, or that of a controller. */
  step({ lane, action, controller, temperature, buffer, dims }) {
    const dream = state.dreams[lane];
    const taken = action || state.controllers[controller].act(dream.z, dream.c, dream.h);
    dream.advance(taken, temperature);
    return view(dream, taken, buffer, dims, temperature);
  },

  /* Decode a z. */
  decode({ z, buffer }) {
    return { frame: pixels(state.decoder.decode(Float32Array.from(z)), buffer) };
  },

  /* Let a controller play dreams without showing them; `progress` calls tell of each that ends. */
  async survey({ controller, temperature, dreams, seed }, id) {
    const dream = new Dream(state.model, state.initial), limit = state.spec.time_limit;
    const player = state.controllers[controller], scores = [], steps = [];
    state.surveying = id;
    for (let n = 0; n < dreams && state.surveying === id; n++) {
      dream.start(seed + n);
      while (!dream.over && dream.steps < limit && state.surveying === id) {
        const until = performance.now() + SURVEY_SLICE;
        while (!dream.over && dream.steps < limit && performance.now() < until) {
          dream.advance(player.act(dream.z, dream.c, dream.h), temperature);
        }
        await new Promise((resume) => setTimeout(resume));
      }
      if (state.surveying !== id) break;
      scores.push(dream.score);
      steps.push(dream.steps);
      postMessage({ id, progress: { done: n + 1, score: dream.score } });
    }
    return scores.length ? { scores, steps, ...summary(scores, seed) } : { scores, steps };
  },

  stop() {
    state.surveying = null;
    return true;
  },

  /* For tests: the numbers of each step from a z and zero state, fed actions [T][A] and noise [T][Z]; a frame [64, 64, 3]
     of every `every`th one. */
  trace({ z, actions, uniforms, normals, temperature, every }) {
    const dream = new Dream(state.model, state.initial);
    dream.start(0);
    dream.z.set(z);
    return actions.map((action, t) => {
      dream.advance(Float32Array.from(action), temperature, uniforms[t], normals[t]);
      const { z, h, c, raw, score, over } = dream;
      const frame = t % every ? null : Array.from(state.decoder.decode(z));
      return { z: [...z], h: [...h], c: [...c], raw: [...raw], score, over, frame };
    });
  },

  /* For tests: the action of a controller on z, c, h. */
  act({ controller, z, c, h }) {
    return Array.from(state.controllers[controller].act(z, c, h));
  },

  /* For tests: draws of the z after one step from a z, with the page's own noise; [draws][Z]. */
  draws({ z, action, temperature, draws, seed }) {
    const dream = new Dream(state.model, state.initial), random = new Random(seed), drawn = [];
    dream.start(seed);
    dream.z.set(z);
    dream.advance(Float32Array.from(action), temperature);
    const next = new Float32Array(state.model.z);
    for (let n = 0; n < draws; n++) {
      const uniforms = Float32Array.from(next, () => random.uniform());
      const normals = Float32Array.from(next, () => random.normal());
      state.model.sample(dream.raw, temperature, uniforms, normals, next);
      drawn.push(Array.from(next));
    }
    return { raw: [...dream.raw], drawn };
  },
};

/* What the page shows of a dream: its frame, counts, the probability of its end, and of each of `dims` the value drawn
   and the mixture it was drawn from. */
function view(dream, action, buffer, dims, temperature) {
  const stepped = dream.steps > 0;
  return {
    frame: pixels(state.decoder.decode(dream.z), buffer),
    action: action && Array.from(action),
    steps: dream.steps,
    score: dream.score,
    over: dream.over,
    probability: stepped ? dream.probability : 0,
    values: dims && dims.map((d) => dream.z[d]),
    mixtures: dims && stepped && dims.map((d) => state.model.mixture(dream.raw, d, temperature)),
  };
}

/* A frame float32 [64, 64, 3] in [0, 1] as RGBA bytes, in a buffer that the page gives back. */
function pixels(frame, buffer) {
  const rgba = new Uint8ClampedArray(buffer || new ArrayBuffer(4 * FRAME * FRAME));
  for (let i = 0, j = 0; i < rgba.length; i += 4, j += 3) {
    rgba[i] = 255 * frame[j]; // clamped and rounded to the nearest
    rgba[i + 1] = 255 * frame[j + 1];
    rgba[i + 2] = 255 * frame[j + 2];
    rgba[i + 3] = 255;
  }
  return rgba.buffer;
}

/* Mean, standard deviation (ddof 0) and the 95 % percentile bootstrap interval of the mean. */
function summary(scores, seed) {
  const n = scores.length, random = new Random(seed), means = new Float64Array(RESAMPLES);
  const mean = scores.reduce((sum, score) => sum + score, 0) / n;
  const std = Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / n);
  for (let r = 0; r < RESAMPLES; r++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += scores[Math.floor(random.uniform() * n)];
    means[r] = sum / n;
  }
  means.sort();
  const at = (share) => means[Math.round(share * (RESAMPLES - 1))];
  return { mean, std, ci95: [at(0.025), at(0.975)], episodes: n };
}

self.onmessage = async ({ data }) => {
  try {
    const result = await calls[data.call](data, data.id);
    postMessage({ id: data.id, result }, result.frame ? [result.frame] : []);
  } catch (error) {
    postMessage({ id: data.id, error: String(error.message || error) });
  }
};
