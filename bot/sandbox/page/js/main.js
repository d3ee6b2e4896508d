// Draws the page from the store, once per frame at most, and says aloud what is new.

import { composer } from "./composer.js";
import { $, fill, h } from "./dom.js";
import { showHead, showPlaces, showRail, showTop } from "./frame.js";
import { showHome } from "./home.js";
import { listen } from "./keys.js";
import { showMessages } from "./messages.js";
import { showModal } from "./modal.js";
import { ago } from "./mrkdwn.js";
import { showPanel } from "./panels/index.js";
import { channelOf, choose, follow, markRead, nameOf, people, refresh, slack, store, subscribe, ui } from "./store.js";
import { showThread } from "./thread.js";

const said = new Set();
let listening = false;

function draw() {
  showTop($("#top"));
  if (store.error !== $("#told").textContent) fill($("#told"), [store.error]);
  if (!store.state || !settle()) return;
  document.body.dataset.place = ui.place;
  document.documentElement.dataset.connected = String(store.connected);
  showRail($("#rail"));
  showPlaces($("#places"));
  showHead($("#chat-head"));
  const messages = $("#messages");
  messages.dataset.scope = ui.home ? `home-${ui.user}` : `${ui.user}-${ui.channel}`;
  if (ui.home) showHome(messages);
  else showMessages(messages, ui.channel);
  $("#composer").hidden = ui.home;
  if (!ui.home) composer($("#composer"), "box", null);
  showThread($("#thread"));
  showPanel($("#tabs"), $("#panel"));
  showModal();
  oneStop(messages);
  if (!ui.home && seeing()) markRead(ui.channel);
  announce();
}

// Choices that no longer exist (a fresh world behind an old page) fall back to the first there is.
function settle() {
  if (!slack().channels.length || !people().length) return false;
  if (!people().some((p) => p.id === ui.user)) ui.user = people()[0].id;
  if (!ui.home && !channelOf(ui.channel)) {
    ui.channel = (slack().channels.find((c) => c.name === "incidents") ?? slack().channels[0]).id;
  }
  if (ui.thread && !slack().messages.some((m) => m.ts === ui.thread)) ui.thread = null;
  return true;
}

const seeing = () => document.visibilityState === "visible" && (innerWidth > 860 || ui.place === "chat");

// Tab enters the list of messages once, at the newest or at the one that was left.
function oneStop(root) {
  const all = [...root.querySelectorAll(":scope > .message")];
  if (all.length && !all.some((m) => m.tabIndex === 0)) all.at(-1).tabIndex = 0;
}

function announce() {
  const fresh = slack().messages.filter((m) => !said.has(`${m.channel}${m.ts}`));
  for (const m of fresh) said.add(`${m.channel}${m.ts}`);
  if (!listening) { listening = true; return; }
  const others = fresh.filter((m) => m.user !== ui.user && (!m.ephemeral_to || m.ephemeral_to === ui.user));
  if (!others.length) return;
  const m = others.at(-1);
  const more = others.length > 1 ? ` and ${others.length - 1} more` : "";
  fill($("#heard"), [`${nameOf(m.user)} in #${channelOf(m.channel)?.name ?? "?"}: ${(m.text || "a message").slice(0, 140)}${more}`]);
}

document.addEventListener("focusin", (event) => {
  const message = event.target.closest?.("#messages > .message");
  if (!message) return;
  for (const other of message.parentElement.querySelectorAll(':scope > .message[tabindex="0"]')) other.tabIndex = -1;
  message.tabIndex = 0;
});
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") refresh(); });

// Times and countdowns go on without a word from the server; a fault that ends is asked for anew.
setInterval(() => {
  const now = Date.now() / 1000;
  for (const el of document.querySelectorAll("[data-since]")) el.textContent = ago(Number(el.dataset.since));
  let over = false;
  for (const el of document.querySelectorAll("[data-until]")) {
    const left = Math.ceil(Number(el.dataset.until) - now);
    el.textContent = `${Math.max(0, left)} s`;
    over ||= left <= 0;
  }
  if (over) refresh();
}, 1000);

fill($("#messages"), [h("p.empty", {}, "Loading…")]);
subscribe(draw);
listen();
refresh().then(() => choose({}));
follow();
