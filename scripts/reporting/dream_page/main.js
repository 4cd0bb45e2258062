/* Starts the page: the networks, then the views, of which only the one in sight runs. */
"use strict";

const VIEWS = ["play", "latent", "exploited", "survival", "about"];
const page = {}; // client, play, explorer, duel, session; reached by tests as window.dreamPage

async function boot() {
  page.client = new Client($("worker-source").textContent);
  const text = $("arrays").textContent;
  $("arrays").remove();
  const frames = await page.client.ask("init", { spec, text });
  page.session = new Session(page.client);
  page.play = new Play(page.client, page.session);
  await page.play.start();
  page.firstFrame = performance.now();
  page.explorer = new Explorer(page.client, frames);
  if (spec.controllers.length) page.duel = new Duel(page.client);
  else $("tab-exploited").remove();
  buildTabs();
  requestAnimationFrame(tick);
}

/* --- the clock --- */

function tick(now) {
  requestAnimationFrame(tick);
  if (page.measuring) return;
  if (page.view === "play") page.play.projector.tick(now);
  if (page.view === "exploited") for (const { projector } of page.duel.lanes) projector.tick(now);
  countFrames(now);
}

/* Frames that the play view showed in the last seconds. */
function countFrames(now) {
  page.counted ||= { at: now, frames: page.play.frames };
  if (now - page.counted.at < 3000) return;
  page.rate = (1000 * (page.play.frames - page.counted.frames)) / (now - page.counted.at);
  page.counted = { at: now, frames: page.play.frames };
}

/* Play as fast as the worker answers, drawing every frame, and return the frames in a second. */
page.measure = async (seconds) => {
  page.measuring = true;
  const { projector } = page.play, from = performance.now();
  let frames = 0;
  while (performance.now() - from < 1000 * seconds) {
    if (projector.over) await page.play.restart();
    else if (await projector.step()) frames += 1;
    else await new Promise((resume) => setTimeout(resume));
  }
  page.measuring = false;
  return (1000 * frames) / (performance.now() - from);
};

/* --- views --- */

function buildTabs() {
  for (const view of VIEWS) $(`tab-${view}`)?.addEventListener("click", () => show(view));
  document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const views = VIEWS.filter((view) => $(`tab-${view}`));
    const next = views[(views.indexOf(page.view) + move + views.length) % views.length];
    show(next);
    $(`tab-${next}`).focus();
  });
  show("play");
}

function show(view) {
  page.view = view;
  for (const name of VIEWS) {
    $(`view-${name}`).hidden = name !== view;
    $(`tab-${name}`)?.setAttribute("aria-selected", String(name === view));
    if ($(`tab-${name}`)) $(`tab-${name}`).tabIndex = name === view ? 0 : -1;
  }
  page.play.hidden = view !== "play";
  page.session.hidden = view !== "survival";
  page.play.hands.releaseAll();
  if (view === "latent" && page.explorer.picked === undefined) page.explorer.pick(0);
  if (view === "exploited" && !page.duel.begun) page.duel.begun = page.duel.restart();
  if (view === "survival") page.session.show();
  if (view === "about") fillAbout($("view-about"), measuredText());
}

function measuredText() {
  const rate = page.rate ? `; ${page.rate.toFixed(0)} frames a second of the ${spec.frames_per_second} wanted` : "";
  return `first frame ${(page.firstFrame / 1000).toFixed(1)} s after opening${rate}`;
}

/* Say on the page that something went wrong, in one line. */
function trouble(error) {
  $("trouble").textContent = `The dream cannot be shown: ${error.message || error}`;
  $("trouble").hidden = false;
}

window.dreamPage = page;
window.addEventListener("unhandledrejection", ({ reason }) => trouble(reason));
page.ready = boot();
page.ready.catch(trouble);
