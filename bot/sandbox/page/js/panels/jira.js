// Jira's tickets, with what a person can do to them.

import { h, lazy } from "../dom.js";
import { act, store, ui, userOf } from "../store.js";
import { facts, nothing, seconds, since, tag, when } from "./parts.js";

const TONE = { done: "good", indeterminate: "warn", new: "info" };

export function jira() {
  const rows = [...(store.state.jira?.issues ?? [])].sort((a, b) => seconds(b.created) - seconds(a.created) || (a.key < b.key ? 1 : -1));
  if (!rows.length) return [nothing("No tickets yet. Each incident the bot opens gets one.")];
  return rows.map((row) => lazy(row.key, JSON.stringify([row, ui.user]), () => card(row)));
}

function card(row) {
  const person = userOf(ui.user)?.name;
  const moves = (row.transitions ?? []).map((t) => (typeof t === "string" ? t : t.name));
  const comment = (event) => {
    event.preventDefault();
    const field = event.currentTarget.querySelector("input");
    if (field.value.trim()) act("jira_comment", { key: row.key, text: field.value.trim(), user: userOf(ui.user)?.email || person }).then((done) => { if (done) field.value = ""; });
  };
  return h("article.card", {},
    h("p.card-head", {}, tag(row.status, TONE[row.status_category]), h("strong.number", {}, row.key), row.priority ? tag(row.priority.name ?? row.priority) : null, h("span.grow", {}), since(row.created)),
    h("h3", {}, row.summary),
    facts([["Type", row.issue_type ?? row.type], ["Assignee", row.assignee?.displayName ?? row.assignee], ["Labels", (row.labels ?? []).length ? h("span.tags", {}, row.labels.map((l) => h("code", {}, l))) : null]]),
    h("div.row", {}, moves.map((name) => h("button.plain.small", { type: "button", onclick: () => act("jira_transition", { key: row.key, to: name, user: userOf(ui.user)?.email || person }) }, name))),
    row.description ? h("details", {}, h("summary", {}, "Description"), h("p.prewrap", {}, typeof row.description === "string" ? row.description : JSON.stringify(row.description, null, 2))) : null,
    h("details", {}, h("summary", {}, `Comments (${(row.comments ?? []).length})`),
      h("ul.log", {}, (row.comments ?? []).map((c) => h("li", {}, when(c.created ?? c.at), " ", h("strong", {}, c.by ?? ""), " ", h("span.prewrap", {}, c.body ?? c.text ?? "")))),
      h("form.inline", { onsubmit: comment }, h("input", { type: "text", "aria-label": `Comment on ${row.key}`, placeholder: `Comment as ${person}` }), h("button.plain.small", { type: "submit" }, "Comment"))));
}
