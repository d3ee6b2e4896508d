// What surrounds the conversation: top bar, channel list, the conversation's head, and the places of a narrow screen.

import { $, fill, h, icon } from "./dom.js";
import { face } from "./messages.js";
import { mrkdwn } from "./mrkdwn.js";
import { act, channelOf, choose, people, slack, store, tell, ui, unread, userOf } from "./store.js";

const BOT = { ready: "Bot is up", starting: "Bot is starting", down: "Bot is down", stopped: "Bot is stopped" };

export function showTop(root) {
  const bot = store.state?.bot ?? { state: "starting" };
  const state = store.connected ? bot.state : "lost";
  fill(root, [
    h("h1", {}, h("img", { src: "page/icon.svg", alt: "", width: "24", height: "24" }), "Release Captain", h("span.muted", {}, " sandbox")),
    h("span.pill", { "data-state": state, role: "status" }, h("i.dot", { "aria-hidden": "true" }), state === "lost" ? "Sandbox does not answer" : BOT[bot.state]),
    h("span.grow", {}),
    h("label.acting", {}, h("span", {}, "Acting as"), h("select", { id: "persona", "aria-label": "Acting as", onchange() { choose({ user: this.value, thread: ui.thread }); } },
      people().map((p) => h("option", { value: p.id, selected: p.id === ui.user }, p.real_name || p.name)))),
    h("button.tool.theme", { type: "button", "aria-label": `Theme: ${ui.theme}. Change`, title: `Theme: ${ui.theme}`, onclick: nextTheme }, icon(THEMES[ui.theme])),
  ]);
}

const THEMES = {
  auto: "M10 3a7 7 0 1 0 .01 0M10 3v14M10 6.500l5.500 2M10 10.500h7M10 14l5 1",
  light: "M10 6.500a3.500 3.500 0 1 0 .01 0M10 1.500v2M10 16.500v2M1.500 10h2M16.500 10h2M4 4l1.400 1.400M14.600 14.600 16 16M4 16l1.400-1.400M14.600 5.400 16 4",
  dark: "M16.500 12A7 7 0 0 1 8 3.500a7 7 0 1 0 8.500 8.500Z",
};

function nextTheme() {
  const names = Object.keys(THEMES);
  const theme = names[(names.indexOf(ui.theme) + 1) % names.length];
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  choose({ theme });
}

export function showRail(root) {
  const open = slack().channels.filter((c) => !c.is_archived && !direct(c) && sees(c)).sort((a, b) => a.name.localeCompare(b.name));
  const letters = slack().channels.filter((c) => direct(c) && c.members.includes(ui.user));
  const old = slack().channels.filter((c) => c.is_archived);
  const home = h("button.channel", { key: "home", type: "button", "aria-current": ui.home ? "page" : null, onclick: () => enter(null) }, h("span.sign", {}, "⌂"), h("span.name", {}, "Home"));
  fill(root, [
    h("h2", { key: "apps" }, "Release Captain"), home, letters.map(row),
    h("h2", { key: "channels" }, "Channels"), open.map(row),
    old.length ? h("details.archived", { key: "old" }, h("summary", {}, `Archived (${old.length})`), old.map(row)) : null,
    h("p.legend", { key: "legend" }, LEGEND.flatMap(([key, does]) => [h("span", { key }, h("kbd", {}, key), ` ${does}`), " "])),
  ]);
  root.onkeydown = walk;
}

const LEGEND = [["/", "message box"], ["↑↓", "walk lists"], ["Esc", "close"]];
const direct = (c) => c.is_im || c.id.startsWith("D");
const sees = (c) => !c.is_private || (c.members ?? []).includes(ui.user);

function row(c) {
  const here = !ui.home && ui.channel === c.id;
  const count = here ? 0 : unread(c.id);
  return h("button.channel", { key: c.id, type: "button", class: count ? "unread" : undefined, "aria-current": here ? "page" : null, onclick: () => enter(c.id) },
    h("span.sign", { "aria-hidden": "true" }, direct(c) ? "@" : c.is_private ? "🔒" : "#"), h("span.name", {}, direct(c) ? "Messages" : c.name),
    count ? h("span.count", { "aria-label": `${count} unread` }, count > 99 ? "99+" : String(count)) : null);
}

/** Go to a channel, or to the app's home when `channel` is null. */
export function enter(channel) {
  if (store.error) tell("");
  choose({ channel: channel ?? ui.channel, home: channel === null, thread: null, place: "chat", editing: null });
  if (channel === null) act("open_home", { user: ui.user });
}

function walk(event) {
  const all = [...event.currentTarget.querySelectorAll("button.channel")];
  const i = all.indexOf(document.activeElement);
  const go = { ArrowUp: i - 1, ArrowDown: i + 1, Home: 0, End: all.length - 1 }[event.key];
  if (go === undefined || i < 0 || event.altKey) return;
  event.preventDefault();
  all[Math.max(0, Math.min(all.length - 1, go))].focus();
}

export function showHead(root) {
  if (ui.home) {
    fill(root, [h("h2", {}, "Home"), h("p.topic", {}, `What the bot shows ${userOf(ui.user)?.real_name ?? "you"}`)]);
    return;
  }
  const c = channelOf(ui.channel);
  fill(root, [
    h("h2", {}, direct(c) ? "Messages with Release Captain" : `#${c.name}`, c.is_archived ? h("span.app", {}, "Archived") : null),
    h("p.topic", {}, c.topic ? mrkdwn(c.topic) : `${(c.members ?? []).length} members`),
    h("span.faces", { "aria-hidden": "true" }, (c.members ?? []).slice(0, 4).map(face)),
  ]);
}

export function showPlaces(root) {
  const waiting = slack().channels.reduce((sum, c) => sum + (sees(c) && !c.is_archived ? unread(c.id) : 0), 0);
  const place = (name, label, path, count) => h("button", { type: "button", key: name, "aria-current": ui.place === name ? "page" : null,
    onclick: () => { choose({ place: name }); $(`#${{ rail: "rail", chat: "messages", side: "side" }[name]}`)?.focus?.(); } },
  icon(path), label, count ? h("span.count", { "aria-label": `${count} unread` }, String(count)) : null);
  fill(root, [
    place("rail", "Channels", "M8 3 6 17M14 3l-2 14M3.500 7.500h13.500M3 12.500h13.500", waiting),
    place("chat", "Messages", "M3 4h14v9H9l-4 3.500V13H3Z"),
    place("side", "World", "M10 3a7 7 0 1 0 .01 0M3 10h14M10 3c-4 4-4 10 0 14M10 3c4 4 4 10 0 14"),
  ]);
}
