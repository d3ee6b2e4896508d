// PagerDuty's incidents, with what a person on call can do by phone.

import { h, lazy } from "../dom.js";
import { link } from "../mrkdwn.js";
import { act, store, ui, userOf } from "../store.js";
import { facts, nothing, shown, since, tag, when } from "./parts.js";

const TONE = { triggered: "bad", acknowledged: "warn", resolved: "good" };

export function pagerduty() {
  const rows = [...(store.state.pagerduty?.incidents ?? [])].sort((a, b) => b.number - a.number);
  if (!rows.length) return [nothing("Nobody has been paged. Start a burn in World, or declare an incident in a channel.")];
  return rows.map((row) => lazy(row.id, JSON.stringify([row, ui.user]), () => card(row)));
}

function card(row) {
  const person = userOf(ui.user)?.name ?? "alice";
  const does = (name, label, style) => h(`button.${style}.small`, { type: "button", onclick: () => act(`pagerduty_${name}`, { incident: row.id, user: userOf(ui.user)?.email || person }) }, label);
  const note = (event) => {
    event.preventDefault();
    const field = event.target.querySelector("input");
    if (field.value.trim()) act("pagerduty_note", { incident: row.id, text: field.value.trim(), user: userOf(ui.user)?.email || person }).then((done) => { if (done) field.value = ""; });
  };
  return h("article.card", {},
    h("p.card-head", {}, tag(row.status, TONE[row.status]), h("strong.number", {}, `#${row.number}`), row.severity ? tag(row.severity) : null, h("span.grow", {}), since(row.created_at)),
    h("h3", {}, row.title),
    facts([["Service", row.service], ["Assigned", (row.assignees ?? []).join(", ")], ["Dedup key", h("code", {}, row.dedup_key)], ["Events", row.triggers > 1 ? `${row.triggers} triggers, one page` : ""]]),
    row.status === "resolved" ? null : h("div.row", {}, row.status === "triggered" ? does("acknowledge", `Acknowledge as ${person}`, "primary") : null, does("resolve", "Resolve", "plain"), does("escalate", "Escalate", "plain"), does("take", `Reassign to ${person}`, "plain")),
    h("form.inline", { onsubmit: note }, h("input", { type: "text", "aria-label": `Note on #${row.number}`, placeholder: `Note as ${person}` }), h("button.plain.small", { type: "submit" }, "Add note")),
    h("details", {}, h("summary", {}, `Log (${(row.log ?? []).length})`),
      h("ol.log", {}, (row.log ?? []).map((line) => h("li", {}, when(line.at), " ", line.summary || line.type, line.by ? h("span.muted", {}, ` ${line.by}`) : null)))),
    (row.notes ?? []).length ? h("details", { open: true }, h("summary", {}, `Notes (${row.notes.length})`), h("ul.log", {}, row.notes.map((n) => h("li", {}, when(n.at), " ", n.text ?? n.content, n.by ? h("span.muted", {}, ` ${n.by}`) : null)))) : null,
    Object.keys(row.details ?? {}).length || (row.links ?? []).length ? h("details", {}, h("summary", {}, "Details"),
      (row.links ?? []).map((l) => h("p", {}, link(l.href ?? l[0] ?? "", l.text ?? l[1]))), h("pre.code", {}, shown(row.details ?? {}))) : null);
}
