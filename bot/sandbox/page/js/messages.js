// Messages as the channel and the thread show them: keyed by ts, changed in place.

import { blocks } from "./blocks.js";
import { $, fill, h, icon, lazy } from "./dom.js";
import { selected } from "./elements.js";
import { COMMON, emoji, MARKS } from "./emoji.js";
import { confirm } from "./modal.js";
import { mrkdwn } from "./mrkdwn.js";
import { act, choose, isReply, nameOf, slack, ui, userOf, visible } from "./store.js";

export const clock = (ts) => new Date(Number(ts) * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayOf = (ts) => new Date(Number(ts) * 1000).toDateString();
// A bot may post under a name of its own; a person's messages carry the login only.
const author = (m) => (userOf(m.user)?.is_bot && m.username && m.username !== userOf(m.user).name ? m.username : nameOf(m.user));
const hue = (id) => [...String(id)].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 360, 7);

export function face(id) {
  if (userOf(id)?.is_bot) return h("span.face.bot", { "aria-hidden": "true" }, icon("M10 3.2v14M6.500 7.200h7M3 11.500c.4 3.500 3 5.700 7 5.700s6.600-2.200 7-5.700M10 3.200a1.500 1.500 0 1 0 .01 0"));
  return h("span.face", { "aria-hidden": "true", style: { "--hue": String(hue(id)) } }, nameOf(id).slice(0, 1).toUpperCase());
}

/** Fill `root` with the day lines and messages of a channel. */
export function showMessages(root, channel) {
  const seen = visible(channel);
  const replies = Map.groupBy ? Map.groupBy(seen.filter(isReply), (m) => m.thread_ts) : grouped(seen.filter(isReply));
  const out = [];
  let before = null;
  for (const m of seen) {
    if (isReply(m) && !m.ephemeral_to && !m.broadcast) continue;
    if (isReply(m) && m.ephemeral_to) continue;
    if (!before || dayOf(before.ts) !== dayOf(m.ts)) out.push(dayLine(m.ts));
    out.push(item(m, before && follows(before, m), replies.get(m.ts) ?? [], "channel"));
    before = m;
  }
  keepPlace(root, () => fill(root, out.length ? out : [h("p.empty", { key: "empty" }, "Nothing has been said here yet.")]));
}

export function showReplies(root, parent, replies) {
  const out = [item(parent, false, [], "thread"), h("div.line", { key: "count" }, h("span", {}, replies.length === 1 ? "1 reply" : `${replies.length} replies`))];
  replies.forEach((m, i) => out.push(item(m, i > 0 && follows(replies[i - 1], m), [], "thread")));
  keepPlace(root, () => fill(root, out));
}

function grouped(list) {
  const out = new Map();
  for (const m of list) out.set(m.thread_ts, [...(out.get(m.thread_ts) ?? []), m]);
  return out;
}

const follows = (a, b) => a.user === b.user && b.ts - a.ts < 300 && dayOf(a.ts) === dayOf(b.ts) && !b.ephemeral_to === !a.ephemeral_to;

const dayLine = (ts) => h("div.line.day", { key: `day-${dayOf(ts)}` }, h("span", {}, new Date(ts * 1000).toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long" })));

// A reader at the end stays at the end; a reader further up keeps the line that was on top.
function keepPlace(root, change) {
  const scope = root.dataset.scope;
  const atEnd = root.scrollHeight - root.scrollTop - root.clientHeight < 60 || root.__shown !== scope;
  const top = root.getBoundingClientRect().top;
  const anchor = atEnd ? null : [...root.children].find((c) => c.getBoundingClientRect().bottom > top);
  const was = anchor?.getBoundingClientRect().top;
  change();
  if (atEnd) root.scrollTop = root.scrollHeight;
  else if (anchor?.isConnected) root.scrollTop += anchor.getBoundingClientRect().top - was;
  root.__shown = scope;
}

function item(m, joined, replies, where) {
  const last = replies.at(-1);
  const sig = JSON.stringify([m, joined, replies.length, last?.ts, ui.user, ui.editing === m.ts, ui.thread === m.ts, slack().users.length]);
  return lazy(`${where}-${m.ts}${m.ephemeral_to ?? ""}`, sig, () => article(m, joined, replies, where));
}

function article(m, joined, replies, where) {
  const reply = where === "channel" && !m.ephemeral_to;
  const shown = ui.thread === m.ts && where === "channel";
  const kind = [joined && "joined", m.ephemeral_to && "ephemeral", shown && "open"].filter(Boolean).join(" ");
  return h("article.message", {
    class: kind || undefined, tabindex: "-1", "data-ts": m.ts, "data-channel": m.channel, "aria-label": `${author(m)}, ${clock(m.ts)}`,
    onkeydown: (event) => { if (event.target === event.currentTarget) keys(event, m, reply); },
  },
  joined ? h("time.gutter", {}, clock(m.ts)) : face(m.user),
  h("div.message-body", {},
    m.ephemeral_to ? h("p.only-you", {}, icon("M3 10s2.500-4.500 7-4.500S17 10 17 10s-2.500 4.500-7 4.500S3 10 3 10ZM10 8a2 2 0 1 0 .01 0M4 17 16 3"), "Only visible to you") : null,
    joined ? null : h("p.who", {}, h("strong", {}, author(m)), userOf(m.user)?.is_bot ? h("span.app", {}, "App") : null,
      h("time", { title: new Date(m.ts * 1000).toString() }, clock(m.ts)), m.pinned ? h("span.quiet-note", {}, "pinned") : null),
    ui.editing === m.ts ? editor(m) : content(m),
    m.broadcast && where === "channel" ? h("p.quiet-note", {}, "also sent from a thread") : null,
    reactions(m), reply && replies.length ? answers(m, replies) : null),
  ui.editing === m.ts ? null : tools(m, reply));
}

function content(m) {
  const ctx = {
    scope: `${m.ts}${m.ephemeral_to ?? ""}`, confirm,
    act: (block, el, value) => act("press", { channel: m.channel, message: m.ts, user: ui.user, button: el.action_id, block_id: block.block_id, selected: selected(el, value) }),
  };
  const list = m.blocks?.length ? blocks(m.blocks, ctx) : [h("div.block.words", {}, mrkdwn(m.text))];
  const extra = (m.attachments ?? []).map((a, i) => h("div.attachment", { style: { "--bar": /^#?[0-9a-f]{6}$/i.test(a.color ?? "") ? `#${a.color.replace("#", "")}` : "var(--line-strong)" } },
    a.blocks?.length ? blocks(a.blocks, { ...ctx, scope: `${ctx.scope}/${i}` }) : h("div.words", {}, mrkdwn(a.text ?? a.fallback ?? ""))));
  const files = (m.files ?? []).map((f) => h("p.file", {}, icon("M5 3h7l3 3v11H5ZM12 3v3h3"), typeof f === "string" ? f : `${f.title || f.name} (${f.size ?? f.length ?? "?"} bytes)`));
  return h("div.content", {}, list, extra, files, m.edited ? h("span.edited", {}, "(edited)") : null);
}

function reactions(m) {
  const rows = Array.isArray(m.reactions) ? m.reactions : Object.entries(m.reactions ?? {}).map(([name, users]) => ({ name, users }));
  if (!rows.length) return null;
  return h("div.reactions", {}, rows.map(({ name, users }) => {
    const mine = users.includes(ui.user);
    return h("button.reaction", { type: "button", class: mine ? "mine" : undefined, "aria-pressed": String(mine), title: `${users.map(nameOf).join(", ")} :${name}:`,
      onclick: () => act("react", { channel: m.channel, ts: m.ts, user: ui.user, name, remove: mine }) }, emoji(name) ?? `:${name}:`, " ", String(users.length));
  }));
}

function answers(m, replies) {
  const who = [...new Set(replies.map((r) => r.user))].slice(0, 3);
  return h("button.answers", { type: "button", onclick: () => openThread(m) }, who.map(face),
    h("strong", {}, replies.length === 1 ? "1 reply" : `${replies.length} replies`), h("span", {}, `last at ${clock(replies.at(-1).ts)}`));
}

function tools(m, reply) {
  const mine = m.user === ui.user;
  const button = (label, path, onclick) => h("button.tool", { type: "button", "aria-label": label, title: label, onclick }, icon(path));
  const react = (name) => h("button.tool", { type: "button", "aria-label": `React with ${name}`, title: `:${name}:`,
    onclick: () => act("react", { channel: m.channel, ts: m.ts, user: ui.user, name }) }, emoji(name));
  return h("div.tools", {},
    m.ephemeral_to ? null : [...COMMON.slice(0, 3), ...MARKS].map(react),
    m.ephemeral_to ? null : button(m.pinned ? "Unpin" : "Pin to the channel", "M7 3h6l-1 5 3 3H5l3-3ZM10 11v6", () => act("pin", { channel: m.channel, ts: m.ts, user: ui.user, remove: Boolean(m.pinned) })),
    reply ? button("Reply in thread", "M4 5h12v8H9l-4 3v-3H4Z", () => openThread(m)) : null,
    mine ? button("Edit", "M4 16l1-4 8-8 3 3-8 8Z", () => choose({ editing: m.ts })) : null,
    mine ? button("Delete", "M5 6h10M8 6V4h4v2M6.500 6l.7 10h5.600l.7-10", () => confirm({ title: { text: "Delete this message?" }, text: { text: "It goes for everybody." }, confirm: { text: "Delete" }, deny: { text: "Keep" }, style: "danger" },
      () => act("delete", { channel: m.channel, ts: m.ts, user: ui.user }))) : null,
    m.ephemeral_to ? null : button("Copy the message's ts", "M7 7h9v9H7ZM4 13V4h9", () => navigator.clipboard?.writeText(m.ts)));
}

function editor(m) {
  const save = async (event) => {
    event.preventDefault();
    const words = $("textarea", event.currentTarget.closest("form")).value.trim();
    if (words && await act("edit", { channel: m.channel, ts: m.ts, user: ui.user, text: words })) choose({ editing: null });
  };
  return h("form.edit", { onsubmit: save, onkeydown(event) {
    if (event.key === "Escape") { event.stopPropagation(); choose({ editing: null }); }
    if (event.key === "Enter" && !event.shiftKey) save(event);
  } }, h("textarea", { "aria-label": "Edit the message", value: m.text, rows: "2", autofocus: true }),
  h("div.row", {}, h("button.primary.small", { type: "submit" }, "Save"), h("button.plain.small", { type: "button", onclick: () => choose({ editing: null }) }, "Cancel")));
}

export function openThread(m) {
  choose({ thread: m.thread_ts && m.thread_ts !== m.ts ? m.thread_ts : m.ts, place: "chat" });
  requestAnimationFrame(() => requestAnimationFrame(() => $("#thread-box")?.focus()));
}

// The message list is one stop of the Tab key; arrows walk it, Enter opens the thread.
function keys(event, m, reply) {
  const all = [...event.currentTarget.parentElement.querySelectorAll(":scope > .message")];
  const i = all.indexOf(event.currentTarget);
  const go = event.altKey ? undefined : { ArrowUp: i - 1, ArrowDown: i + 1, Home: 0, End: all.length - 1 }[event.key];
  if (go !== undefined) { event.preventDefault(); all[Math.max(0, Math.min(all.length - 1, go))]?.focus(); }
  else if (event.key === "Enter" && reply) { event.preventDefault(); openThread(m); }
}
