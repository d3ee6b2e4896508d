// The side: one tab per system, and the world that can be turned.

import { fill, h } from "../dom.js";
import { choose, store, ui } from "../store.js";
import { calls } from "./calls.js";
import { jira } from "./jira.js";
import { kubernetes } from "./kubernetes.js";
import { pagerduty } from "./pagerduty.js";
import { world } from "./world.js";

const TABS = [
  ["world", "World", world, () => 0],
  ["pagerduty", "PagerDuty", pagerduty, (s) => (s.pagerduty?.incidents ?? []).filter((i) => i.status !== "resolved").length],
  ["jira", "Jira", jira, (s) => (s.jira?.issues ?? []).filter((i) => i.status_category !== "done").length],
  ["kubernetes", "Kubernetes", kubernetes, () => 0],
  ["calls", "Calls", calls, () => 0],
];

export function showPanel(tabs, panel) {
  const [name, , show] = TABS.find(([id]) => id === ui.panel) ?? TABS[0];
  fill(tabs, TABS.map(([id, label, , count]) => {
    const n = count(store.state);
    return h("button", { key: id, id: `tab-${id}`, type: "button", role: "tab", "aria-selected": String(id === name), "aria-controls": "panel", tabindex: id === name ? "0" : "-1",
      onclick: () => choose({ panel: id }), onkeydown: walk }, label, n ? h("span.count", {}, String(n)) : null);
  }));
  panel.setAttribute("aria-labelledby", `tab-${name}`);
  if (panel.dataset.shows !== name) { panel.replaceChildren(); panel.scrollTop = 0; panel.dataset.shows = name; }
  fill(panel, show());
}

function walk(event) {
  const all = [...event.currentTarget.parentElement.children];
  const i = all.indexOf(event.currentTarget);
  const go = { ArrowLeft: (i + all.length - 1) % all.length, ArrowRight: (i + 1) % all.length, Home: 0, End: all.length - 1 }[event.key];
  if (go === undefined) return;
  event.preventDefault();
  choose({ panel: all[go].__key });
  all[go].focus();
}
