/* The page's small figures. */
"use strict";

const TRACE = 240; // steps that a trace of the probability of the end shows

/* Draw the last probabilities of the end, newest on the right, on a scale from 0 to 1. */
function drawTrace(canvas, history, colour) {
  const { context, width, height } = sizedContext(canvas, 44);
  const y = (share) => height - 2 - (height - 4) * Math.sqrt(share);
  context.strokeStyle = colours.line;
  context.setLineDash([3, 4]);
  context.beginPath();
  context.moveTo(0, y(0.5));
  context.lineTo(width, y(0.5));
  context.stroke();
  context.setLineDash([]);
  if (!history.length) return;
  const x = (n) => width - ((history.length - 1 - n) * width) / TRACE;
  context.beginPath();
  context.moveTo(x(0), y(history[0]));
  for (let n = 1; n < history.length; n++) context.lineTo(x(n), y(history[n]));
  context.strokeStyle = colour;
  context.lineWidth = 1.6;
  context.lineJoin = "round";
  context.stroke();
  context.lineTo(width, height);
  context.lineTo(x(0), height);
  context.globalAlpha = 0.18;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
}

/* Draw of each dimension the mixture of its next value and the value drawn. */
function drawMixtures(canvas, dims, values, mixtures) {
  const columns = canvas.clientWidth < 560 ? 3 : 6, rows = Math.ceil(dims.length / columns), cell = 92;
  const { context, width } = sizedContext(canvas, rows * cell);
  const wide = width / columns;
  dims.forEach((dim, n) => {
    const left = (n % columns) * wide, top = Math.floor(n / columns) * cell;
    drawMixture(context, { left: left + 6, width: wide - 12, top, base: top + cell - 20 }, values[n], mixtures?.[n]);
    context.fillStyle = colours.soft;
    context.font = "12px system-ui, sans-serif";
    context.fillText(`z${dim}`, left + 6, top + cell - 5);
    context.textAlign = "right";
    context.fillText(values[n].toFixed(2), left + wide - 6, top + cell - 5);
    context.textAlign = "left";
  });
}

/* One mixture within a box, from -3.5 to 3.5; its height is the square root of the density. */
function drawMixture(context, { left, width, top, base }, value, mixture) {
  const reach = 3.5, x = (v) => left + (width * (Math.max(-reach, Math.min(reach, v)) + reach)) / (2 * reach);
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(left, base + 0.5);
  context.lineTo(left + width, base + 0.5);
  context.stroke();
  if (mixture) {
    context.beginPath();
    context.moveTo(left, base);
    for (let pixel = 0; pixel <= width; pixel += 1.5) {
      const v = (pixel / width) * 2 * reach - reach;
      const height = Math.min(1, Math.sqrt(density(mixture, v) / 2.4)) * (base - top - 6);
      context.lineTo(left + pixel, base - height);
    }
    context.lineTo(left + width, base);
    context.globalAlpha = 0.22;
    context.fillStyle = colours.c;
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = colours.c;
    context.lineWidth = 1.3;
    context.stroke();
  }
  context.strokeStyle = colours.accent;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x(value), top + 6);
  context.lineTo(x(value), base);
  context.stroke();
}

/* The density at v of a mixture, rows of (weight, mean, standard deviation). */
function density(mixture, v) {
  let sum = 0;
  for (let k = 0; k < mixture.length; k += 3) {
    const deviation = (v - mixture[k + 1]) / mixture[k + 2];
    sum += (mixture[k] * Math.exp(-0.5 * deviation * deviation)) / (mixture[k + 2] * 2.5066283);
  }
  return sum;
}

/* A strip of frames that moves to the left; every eighth one is kept. */
class Strip {
  constructor(canvas, every = 8) {
    Object.assign(this, { canvas, every });
    this.clear();
  }

  clear() {
    this.frames = this.canvas.clientWidth < 560 ? 6 : 9;
    this.canvas.width = this.frames * (SIDE + 2) - 2;
    this.canvas.height = SIDE;
    this.filled = 0;
  }

  add(source, steps) {
    if (steps % this.every) return;
    const context = this.canvas.getContext("2d"), pitch = SIDE + 2;
    if (this.filled === this.frames) {
      context.globalCompositeOperation = "copy";
      context.drawImage(this.canvas, -pitch, 0);
      context.globalCompositeOperation = "source-over";
    } else this.filled += 1;
    context.drawImage(source, (this.filled - 1) * pitch, 0);
  }
}

/* --- scores --- */

/* Return an SVG so wide of curves [{name, scores, colour, dash, width}]: the share of episodes that score at least so
   much. */
function survivalChart(curves, unit, width) {
  const height = Math.min(380, Math.max(260, 0.4 * width)), left = 48, bottom = 42, top = 10, right = 14;
  const all = curves.flatMap((curve) => curve.scores);
  const low = Math.min(0, ...all), high = Math.max(1, ...all);
  const x = (score) => left + ((score - low) / (high - low)) * (width - left - right);
  const y = (share) => top + (1 - share) * (height - top - bottom);
  const svg = svgElement("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.append(svgElement("title", {}, `Share of episodes that score at least so much: ${unit}`));
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(svgElement("line", { x1: left, x2: width - right, y1: y(share), y2: y(share), stroke: "var(--line)" }));
    svg.append(svgElement("text", { x: left - 8, y: y(share) + 4, "text-anchor": "end" }, `${100 * share} %`));
  }
  const step = niceStep((high - low) / Math.min(8, width / 80));
  for (let score = Math.ceil(low / step) * step; score <= high; score += step) {
    svg.append(svgElement("text", { x: x(score), y: height - bottom + 20, "text-anchor": "middle" }, whole(score)));
  }
  svg.append(svgElement("text", { x: width - right, y: height - 3, "text-anchor": "end" }, `${unit} →`));
  for (const curve of curves) {
    const path = { d: survivalPath(curve.scores, x, y), fill: "none", stroke: curve.colour };
    const stroke = { "stroke-width": curve.width || 2, "stroke-dasharray": curve.dash || "none" };
    svg.append(svgElement("path", { ...path, ...stroke, "stroke-linejoin": "round" }));
  }
  return svg;
}

/* The steps of a survival curve: all start, and one fewer is left after each score. */
function survivalPath(scores, x, y) {
  const sorted = [...scores].sort((a, b) => a - b), n = sorted.length;
  let path = `M${x(Math.min(0, sorted[0])).toFixed(1)},${y(1).toFixed(1)}`;
  sorted.forEach((score, i) => {
    path += `H${x(score).toFixed(1)}V${y((n - i - 1) / n).toFixed(1)}`;
  });
  return path;
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
}

function svgElement(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}

/* Mean and standard deviation (ddof 0). */
function moments(scores) {
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const std = Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length);
  return { mean, std, episodes: scores.length };
}
