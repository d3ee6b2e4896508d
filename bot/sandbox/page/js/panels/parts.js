// Small pieces the panels share.

import { h } from "../dom.js";
import { ago } from "../mrkdwn.js";

/** UNIX seconds of a number, or of an ISO 8601 text; 0 when there is none. */
export const seconds = (at) => (typeof at === "number" ? at : at ? new Date(at).getTime() / 1000 : 0);

export const when = (at) => {
  const s = seconds(at);
  return s ? h("time", { title: new Date(s * 1000).toString() }, new Date(s * 1000).toLocaleTimeString("en-GB")) : null;
};

export const since = (at) => (seconds(at) ? h("time", { "data-since": String(seconds(at)), title: new Date(seconds(at) * 1000).toString() }, ago(seconds(at))) : null);

export const tag = (words, tone) => h("span.tag", { "data-tone": tone ?? null }, words);

export const facts = (pairs) => h("dl.facts", {}, pairs.filter(([, v]) => v !== null && v !== undefined && v !== "" && v !== false)
  .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

export const nothing = (sentence) => h("p.empty", { key: "nothing" }, sentence);

export const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
