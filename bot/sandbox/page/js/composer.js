// The message box: Enter sends, "/" starts a slash command with completion, "@" and "#" complete names.

import { $, fill, h, icon } from "./dom.js";
import { act, channelOf, people, render, slack, store, ui } from "./store.js";

const FALLBACK = [
  { text: "/captain help", usage: "/captain help", help: "What the bot can do" },
  { text: "/incident list", usage: "/incident list", help: "Open incidents" },
  { text: "/incident open ", usage: "/incident open SEV SERVICE SUMMARY", help: "Declare an incident" },
];

const open = { id: null, rows: [], at: 0, from: 0 };

/** A message box in `form`. `thread`: the ts it answers in, or null. */
export function composer(form, id, thread) {
  const where = channelOf(ui.channel);
  const key = `${ui.channel}/${thread ?? ""}`;
  const listed = open.id === id ? open.rows : [];
  const label = thread ? "Reply in the thread" : `Message #${where?.name ?? ""}`;
  const fieldNode = h("textarea", {
    key: `field-${key}`, id, rows: "1", "aria-label": label, placeholder: thread ? "Reply…" : `Message #${where?.name ?? ""} or type / for commands`, value: ui.drafts[key] ?? "", autocomplete: "off",
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": String(listed.length > 0), "aria-controls": `${id}-list`, "aria-haspopup": "listbox",
    "aria-activedescendant": listed.length ? `${id}-${open.at}` : null,
    oninput() { ui.drafts[key] = this.value; complete(this); },
    onkeydown(event) { typed(event, this, key, thread); },
    onblur() { setTimeout(() => { if (open.id === id && document.activeElement !== this) shut(); }, 150); },
  });
  fill(form, [
    listed.length ? h("ul.completion", { key: "list", id: `${id}-list`, role: "listbox", "aria-label": "Completions" },
      listed.map((row, i) => h("li", { id: `${id}-${i}`, role: "option", "aria-selected": String(i === open.at),
        onmousedown: (event) => { event.preventDefault(); take($(`#${id}`), row); } }, h("code", {}, row.usage), h("span", {}, row.help ?? "")))) : null,
    h("div.box", { key: "box" }, fieldNode,
      h("button.send", { type: "button", "aria-label": "Send", title: "Send (Enter)", onclick: () => send($(`#${id}`), key, thread) }, icon("M3 10h13M11 5l5 5-5 5"))),
  ]);
  const field = $(`#${id}`);
  if (field) grow(field);
  form.onsubmit = (event) => event.preventDefault();
}

function grow(field) {
  field.style.height = "auto";
  field.style.height = `${Math.min(160, field.scrollHeight)}px`;
}

/** Commands the bot offers: [{text, usage, help}]. */
function commands() {
  const given = store.state?.commands ?? [];
  return given.length ? given : FALLBACK;
}

function complete(field) {
  grow(field);
  const before = field.value.slice(0, field.selectionStart);
  const word = /(?:^|\s)([@#])([\w-]*)$/.exec(before);
  if (before.startsWith("/") && !before.includes("\n")) {
    const asked = before.toLowerCase();
    const rows = commands().filter((c) => (c.text.toLowerCase().startsWith(asked) || short(c).startsWith(asked) || starts(c, asked)) && c.text.trim() !== asked.trim());
    list(field, rows.slice(0, 8), 0);
  } else if (word) {
    const names = word[1] === "@" ? people().map((u) => ({ text: `@${u.name} `, usage: `@${u.name}`, help: u.real_name }))
      : slack().channels.filter((c) => !c.is_archived).map((c) => ({ text: `#${c.name} `, usage: `#${c.name}`, help: c.topic }));
    list(field, names.filter((n) => n.usage.slice(1).startsWith(word[2])).slice(0, 8), before.length - word[2].length - 1);
  } else shut();
}

// "/incident" finds "/captain incident …": the subject alone is enough to look for.
const short = (c) => `/${c.text.toLowerCase().split(" ").slice(1).join(" ")}`;

// While arguments are being typed, the command's own line stays as a reminder of what comes next.
const starts = (c, asked) => c.usage !== c.text.trim() && asked.startsWith(c.text.toLowerCase());

function list(field, rows, from) {
  Object.assign(open, { id: rows.length ? field.id : null, rows, from, at: Math.min(open.at, Math.max(0, rows.length - 1)) });
  render();
}

function shut() {
  if (!open.id) return;
  Object.assign(open, { id: null, rows: [], at: 0 });
  render();
}

function take(field, row) {
  const after = field.value.slice(field.selectionStart);
  field.setRangeText(row.text, open.from, field.value.length - after.length, "end");
  shut();
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

function typed(event, field, key, thread) {
  if (event.isComposing) return;
  const listed = open.id === field.id && open.rows.length;
  if (listed && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    open.at = (open.at + (event.key === "ArrowDown" ? 1 : -1) + open.rows.length) % open.rows.length;
    render();
  } else if (listed && event.key === "Tab" && !event.shiftKey && fits(field)) {
    event.preventDefault();
    take(field, open.rows[open.at]);
  } else if (listed && event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    shut();
  } else if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    if (listed && fits(field) && (open.from > 0 || open.at > 0 || !isWhole(field.value))) take(field, open.rows[open.at]);
    else send(field, key, thread);
  } else if (event.key === "ArrowUp" && !field.value) {
    event.preventDefault();
    [...document.querySelectorAll(thread ? "#thread .message" : "#messages > .message")].at(-1)?.focus();
  }
}

// Whether taking the chosen row would add to what is typed (a reminder of arguments would not).
const fits = (field) => open.rows[open.at].text.length > field.selectionStart - open.from;
const isWhole = (value) => commands().some((c) => c.text.trim() === value.trim().toLowerCase());

async function send(field, key, thread) {
  const words = field.value.trim();
  if (!words) return;
  shut();
  field.value = "";
  ui.drafts[key] = "";
  grow(field);
  const body = { channel: ui.channel, user: ui.user, text: words };
  if (thread) body.thread_ts = thread;
  if (!await act("say", body) && !field.value) {
    field.value = words; // refused: nothing typed is lost
    ui.drafts[key] = words;
  }
  const root = $(thread ? "#thread .replies" : "#messages");
  if (root) root.scrollTop = root.scrollHeight;
  field.focus();
}
