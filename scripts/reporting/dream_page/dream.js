/* The mathematics of the dream: M, its sampler, V's decoder and C, on typed arrays.

   Letters: Z latent size, A action size, H hidden size, K mixtures. All arrays are Float32Array, row-major. The same
   arithmetic as rnn/lstm.py, rnn/mdn.py, rnn/dream.py, vae/model.py and controller/policies.py; a test compares them.
   No DOM, no messages: worker.js drives it. */
"use strict";

const FRAME = 64; // pixels along a side of a frame
const LAYERS = 4; // transposed convolutions of the decoder

/* --- arrays from the file --- */

/* Return the float32 value of each of the 65,536 half-precision numbers. */
function halfPrecisionTable() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
    else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
}

/* Return the bytes of base64 text. */
function bytesFromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/* Return the named arrays of a blob. directory: {name: {kind: "f2" | "f4" | "u1", offset, count}}; throws where the
   blob is shorter than the directory says. */
function unpackArrays(bytes, directory) {
  const half = halfPrecisionTable();
  const arrays = {};
  for (const [name, { kind, offset, count }] of Object.entries(directory)) {
    const width = { f2: 2, f4: 4, u1: 1 }[kind];
    if (offset + count * width > bytes.length) throw new Error("this file is incomplete; make or copy it again");
    if (kind === "u1") arrays[name] = bytes.slice(offset, offset + count);
    else if (kind === "f4") arrays[name] = new Float32Array(bytes.slice(offset, offset + 4 * count).buffer);
    else {
      const bits = new Uint16Array(bytes.buffer, bytes.byteOffset + offset, count);
      arrays[name] = new Float32Array(count);
      for (let i = 0; i < count; i++) arrays[name][i] = half[bits[i]];
    }
  }
  return arrays;
}

/* --- chance --- */

/* xoshiro128** (Blackman and Vigna 2018), its state filled from one seed by splitmix32. */
class Random {
  constructor(seed) {
    this.words = new Uint32Array(4);
    let word = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      word = (word + 0x9e3779b9) >>> 0;
      let mixed = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      this.words[i] = (mixed ^ (mixed >>> 15)) >>> 0;
    }
    this.spare = NaN;
  }

  next() {
    const s = this.words;
    const product = Math.imul(s[1], 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /* A number in [0, 1), of 24 bits as float32 has. */
  uniform() {
    return (this.next() >>> 8) / 16777216;
  }

  /* A standard normal number, by Marsaglia's polar method. */
  normal() {
    if (!Number.isNaN(this.spare)) {
      const kept = this.spare;
      this.spare = NaN;
      return kept;
    }
    let u, v, s;
    do {
      u = 2 * this.uniform() - 1;
      v = 2 * this.uniform() - 1;
      s = u * u + v * v;
    } while (s >= 1 || s === 0);
    const scale = Math.sqrt((-2 * Math.log(s)) / s);
    this.spare = v * scale;
    return u * scale;
  }
}

/* --- products --- */

/* Add to y [from, from + width) the rows of a matrix [rows, stride], each times its x: those rows whose numbers are the
   first `count` of `places`. Eight at a time: loading and storing y costs more than a product. */
function addRows(y, from, width, matrix, stride, x, xFrom, places, count) {
  let n = 0;
  for (; n + 8 <= count; n += 8) {
    const p0 = places[n], p1 = places[n + 1], p2 = places[n + 2], p3 = places[n + 3];
    const p4 = places[n + 4], p5 = places[n + 5], p6 = places[n + 6], p7 = places[n + 7];
    const x0 = x[xFrom + p0], x1 = x[xFrom + p1], x2 = x[xFrom + p2], x3 = x[xFrom + p3];
    const x4 = x[xFrom + p4], x5 = x[xFrom + p5], x6 = x[xFrom + p6], x7 = x[xFrom + p7];
    const m0 = p0 * stride, m1 = p1 * stride, m2 = p2 * stride, m3 = p3 * stride;
    const m4 = p4 * stride, m5 = p5 * stride, m6 = p6 * stride, m7 = p7 * stride;
    for (let j = 0; j < width; j++) {
      y[from + j] +=
        x0 * matrix[m0 + j] + x1 * matrix[m1 + j] + x2 * matrix[m2 + j] + x3 * matrix[m3 + j] +
        x4 * matrix[m4 + j] + x5 * matrix[m5 + j] + x6 * matrix[m6 + j] + x7 * matrix[m7 + j];
    }
  }
  for (; n < count; n++) {
    const value = x[xFrom + places[n]];
    const row = places[n] * stride;
    for (let j = 0; j < width; j++) y[from + j] += value * matrix[row + j];
  }
}

/* Write to `places` which of x [from, from + size) are not zero; return how many. */
function findNonzero(x, from, size, places) {
  let count = 0;
  for (let i = 0; i < size; i++) if (x[from + i] !== 0) places[count++] = i;
  return count;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/* --- M --- */

/* M: (z, action[, restart]) and a state to the mixture of the next z. kernel [Z + A (+ 1) + H, 4H] with gates i, f, g, o;
   head [H, 3 K Z (+ 1 done logit) (+ 1 reward)], its columns logmix, mean, logstd of K components before Z. */
class MDNRNN {
  constructor(config, arrays) {
    Object.assign(this, config); // z, action, hidden, mixtures, done, reward, deathWeight
    this.kernel = arrays.lstm_kernel;
    this.bias = arrays.lstm_bias;
    this.headKernel = arrays.head_kernel;
    this.headBias = arrays.head_bias;
    this.inputs = this.z + this.action + (this.done ? 1 : 0) + this.hidden;
    this.width = 3 * this.mixtures * this.z + (this.done ? 1 : 0) + (this.reward ? 1 : 0);
    this.x = new Float32Array(this.inputs);
    this.gates = new Float32Array(4 * this.hidden);
    this.places = new Int32Array(Math.max(this.inputs, this.hidden));
  }

  /* Advance c and h [H] in place and write the head's output [width] to `raw`. */
  step(z, action, restart, c, h, raw) {
    const { x, gates, hidden, places } = this;
    x.set(z, 0);
    x.set(action, this.z);
    if (this.done) x[this.z + this.action] = restart;
    x.set(h, this.inputs - hidden);
    gates.set(this.bias);
    addRows(gates, 0, 4 * hidden, this.kernel, 4 * hidden, x, 0, places, findNonzero(x, 0, this.inputs, places));
    for (let n = 0; n < hidden; n++) {
      const kept = sigmoid(gates[hidden + n]) * c[n];
      c[n] = kept + sigmoid(gates[n]) * Math.tanh(gates[2 * hidden + n]);
      h[n] = sigmoid(gates[3 * hidden + n]) * Math.tanh(c[n]);
    }
    raw.set(this.headBias);
    addRows(raw, 0, this.width, this.headKernel, this.width, h, 0, places, findNonzero(h, 0, hidden, places));
  }

  doneLogit(raw) {
    return this.done ? raw[3 * this.mixtures * this.z] : -Infinity;
  }

  /* The reward M expects of a step, 1 where it predicts none. */
  expectedReward(raw) {
    return this.reward ? raw[this.width - 1] : 1;
  }

  /* Draw the next z [Z] at a temperature: log weights over it, standard deviations times its root. uniforms [Z] choose
     components by their cumulative weights, of which only the first K - 1 are compared; normals [Z]. */
  sample(raw, temperature, uniforms, normals, z) {
    const size = this.z, last = this.mixtures - 1, block = this.mixtures * size;
    const root = Math.sqrt(temperature);
    const cumulative = new Float64Array(this.mixtures);
    for (let d = 0; d < size; d++) {
      let highest = -Infinity;
      for (let k = 0; k <= last; k++) highest = Math.max(highest, raw[k * size + d] / temperature);
      let total = 0;
      for (let k = 0; k <= last; k++) cumulative[k] = total += Math.exp(raw[k * size + d] / temperature - highest);
      const threshold = uniforms[d] * total;
      let chosen = 0;
      while (chosen < last && !(threshold < cumulative[chosen])) chosen++;
      const place = chosen * size + d;
      z[d] = raw[block + place] + Math.exp(raw[2 * block + place]) * root * normals[d];
    }
  }

  /* The mixture of dimension d at a temperature: K rows of (weight, mean, standard deviation), flat [3 K]. */
  mixture(raw, d, temperature) {
    const block = this.mixtures * this.z, rows = [];
    let total = 0, highest = -Infinity;
    for (let k = 0; k < this.mixtures; k++) highest = Math.max(highest, raw[k * this.z + d] / temperature);
    for (let k = 0; k < this.mixtures; k++) {
      const place = k * this.z + d;
      const weight = Math.exp(raw[place] / temperature - highest);
      total += weight;
      rows.push(weight, raw[block + place], Math.exp(raw[2 * block + place]) * Math.sqrt(temperature));
    }
    for (let k = 0; k < rows.length; k += 3) rows[k] /= total;
    return rows;
  }
}

/* --- V's decoder --- */

/* Decode z [Z] to a frame: dense, then four transposed convolutions of stride 2. A kernel is [in, size, size, out], so
   that what an input pixel adds to a row of the output is one run. */
class Decoder {
  constructor(config, arrays) {
    this.z = config.z;
    this.dense = arrays.decoder_dense_kernel; // [Z, code]
    this.denseBias = arrays.decoder_dense_bias;
    this.code = new Float32Array(this.denseBias.length);
    this.layers = [];
    let side = 1, depth = this.code.length;
    for (let n = 1; n <= LAYERS; n++) {
      const bias = arrays[`deconv${n}_bias`], kernel = arrays[`deconv${n}_kernel`], out = bias.length;
      const size = Math.round(Math.sqrt(kernel.length / (depth * out)));
      const outSide = 2 * (side - 1) + size;
      const features = new Float32Array(outSide * outSide * out);
      const rows = Array.from({ length: size }, (_, row) => kernel.subarray(row * size * out));
      this.layers.push({ rows, bias, side, depth, size, out, outSide, features, relu: n < LAYERS });
      side = outSide;
      depth = out;
    }
    this.places = new Int32Array(Math.max(this.z, ...this.layers.map((layer) => layer.depth)));
  }

  /* The frame float32 [64, 64, 3] in [0, 1]; the array is used again by the next call. */
  decode(z) {
    this.code.set(this.denseBias);
    const width = this.code.length;
    addRows(this.code, 0, width, this.dense, width, z, 0, this.places, findNonzero(z, 0, this.z, this.places));
    let features = this.code;
    for (const layer of this.layers) features = this.deconvolve(features, layer);
    for (let i = 0; i < features.length; i++) features[i] = sigmoid(features[i]);
    return features;
  }

  /* What is zero after a relu is left out: two thirds of the work. */
  deconvolve(input, layer) {
    const { rows, bias, side, depth, size, out, outSide, features, relu } = layer;
    for (let i = 0; i < features.length; i += out) features.set(bias, i);
    const run = size * out, stride = size * run;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const from = (y * side + x) * depth;
        const count = findNonzero(input, from, depth, this.places);
        for (let row = 0; row < size; row++) {
          const to = ((2 * y + row) * outSide + 2 * x) * out;
          addRows(features, to, run, rows[row], stride, input, from, this.places, count);
        }
      }
    }
    if (relu) for (let i = 0; i < features.length; i++) if (features[i] < 0) features[i] = 0;
    return features;
  }
}

/* --- C --- */

/* C: tanh layers on z, [z, h] or [z, c, h], and what turns each output into an action: points (output, action) joined
   by straight lines. layers: [[inputs, outputs], ...]; flat weights, of each layer the bias first where it has one. */
class Controller {
  constructor(config, weights) {
    Object.assign(this, config); // name, variant, bias, layers, squash
    this.weights = weights;
  }

  /* The action [A]. */
  act(z, c, h) {
    const parts = { z: [z], z_hidden: [z], zh: [z, h], zch: [z, c, h] }[this.variant];
    let signal = new Float64Array(this.layers[0][0]), place = 0, used = 0;
    for (const part of parts) {
      signal.set(part, place);
      place += part.length;
    }
    for (const [inputs, outputs] of this.layers) {
      const next = new Float64Array(outputs);
      if (this.bias) for (let o = 0; o < outputs; o++) next[o] = this.weights[used++];
      for (let i = 0; i < inputs; i++) {
        for (let o = 0; o < outputs; o++) next[o] += signal[i] * this.weights[used++];
      }
      signal = next.map(Math.tanh);
    }
    return Float32Array.from(signal, (output, a) => alongPoints(this.squash[a], output));
  }
}

/* The height at x of the line through points [[x, y], ...], sorted by x. */
function alongPoints(points, x) {
  let n = 1;
  while (n < points.length - 1 && x > points[n][0]) n++;
  const [[x0, y0], [x1, y1]] = [points[n - 1], points[n]];
  return y0 + ((x - x0) * (y1 - y0)) / (x1 - x0);
}

/* --- the dream --- */

/* One dream: M run on its own samples from a stored first frame's z, zero state, restart 1 on the first input. */
class Dream {
  constructor(model, initial) {
    this.model = model;
    this.initial = initial; // {mu, logvar, cumulative}: rows of Z, and how many first frames look like these or earlier
    this.z = new Float32Array(model.z);
    this.c = new Float32Array(model.hidden);
    this.h = new Float32Array(model.hidden);
    this.raw = new Float32Array(model.width);
    this.uniforms = new Float32Array(model.z);
    this.normals = new Float32Array(model.z);
  }

  /* Begin anew; all chance of this dream comes from the seed. */
  start(seed) {
    this.random = new Random(seed);
    const { mu, logvar, cumulative } = this.initial, size = this.model.z;
    const drawn = this.random.uniform() * cumulative[cumulative.length - 1];
    let row = 0;
    while (row < cumulative.length - 1 && drawn >= cumulative[row]) row++;
    for (let d = 0; d < size; d++) {
      this.z[d] = mu[row * size + d] + Math.exp(0.5 * logvar[row * size + d]) * this.random.normal();
    }
    this.c.fill(0);
    this.h.fill(0);
    this.steps = this.score = 0;
    this.doneLogit = -Infinity;
    this.over = false;
  }

  /* Take an action [A]; the noise is drawn here unless it is given. */
  advance(action, temperature, uniforms, normals) {
    const model = this.model;
    if (!uniforms) {
      for (let d = 0; d < model.z; d++) this.uniforms[d] = this.random.uniform();
      for (let d = 0; d < model.z; d++) this.normals[d] = this.random.normal();
    }
    model.step(this.z, action, this.steps === 0 ? 1 : 0, this.c, this.h, this.raw);
    model.sample(this.raw, temperature, uniforms || this.uniforms, normals || this.normals, this.z);
    this.steps += 1;
    this.score += model.expectedReward(this.raw);
    this.doneLogit = model.doneLogit(this.raw);
    this.over = this.ends() && Number.isFinite(this.doneLogit);
    if (!this.z.every(Number.isFinite)) throw new Error(`z is no longer a number after step ${this.steps}; train M again`);
  }

  /* Whether the step just taken ends the dream: it is likelier than not, or, with a death's weight, by chance. */
  ends() {
    return this.model.deathWeight == null ? this.doneLogit > 0 : this.random.uniform() < this.probability;
  }

  /* M's probability that the step just taken ends the dream, as it was trained with weighted deaths; where the dream has their
     weight, as if it had learned without. */
  get probability() {
    return sigmoid(this.doneLogit - Math.log(this.model.deathWeight ?? 1));
  }
}
