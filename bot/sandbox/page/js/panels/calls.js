// Every call the stand-ins got, newest first.

import { h, lazy } from "../dom.js";
import { render, store } from "../store.js";
import { nothing, tag, when } from "./parts.js";

let service = "";

export function calls() {
  const all = store.state.calls ?? [];
  const names = [...new Set(all.map((c) => c.service))].sort();
  const rows = all.filter((c) => !service || c.service === service).slice(-120).reverse();
  const seen = {};
  return [
    h("div.row.filters", { key: "filter", role: "group", "aria-label": "Which service" }, ["", ...names].map((name) => h("button.chip", { key: name || "all", type: "button", "aria-pressed": String(service === name),
      onclick: () => { service = name; render(); } }, name || "All"))),
    rows.length ? null : nothing("No calls yet."),
    rows.map((c) => item(c, seen)),
  ];
}

function item(c, seen) {
  const base = `${c.at}-${c.path}`;
  seen[base] = (seen[base] ?? 0) + 1;
  return lazy(`${base}-${seen[base]}`, "", () => row(c));
}

function row(c) {
  const tone = c.fault || c.status >= 500 || !c.status ? "bad" : c.status >= 400 ? "warn" : "good";
  return h("details.call", { class: c.fault ? "broken" : undefined, title: c.fault ? "broken on purpose" : null }, h("summary", {}, when(c.at), h("span.dim", {}, c.service), h("span.path", { title: c.path }, h("b", {}, c.method), " ", c.path),
    h("span.right", {}, tag(c.status ? String(c.status) : c.fault || "cut", tone), h("span.ms", {}, `${c.ms < 10 ? c.ms.toFixed(1) : Math.round(c.ms)} ms`))),
  h("pre.code", { tabindex: "0" }, pretty(c.body) || "no body"));
}

function pretty(body) {
  try { return JSON.stringify(JSON.parse(body), null, 2); } catch { /* not JSON */ }
  if (/^[\w.%-]+=/.test(body ?? "")) {
    return [...new URLSearchParams(body)].map(([k, v]) => `${k} = ${v.startsWith("{") || v.startsWith("[") ? tryJson(v) : v}`).join("\n");
  }
  return body;
}

function tryJson(v) {
  try { return JSON.stringify(JSON.parse(v), null, 2); } catch { return v; }
}
