// Slack's text markup to elements. The text is data: it is only ever put into text nodes and checked links.

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { channelOf, nameOf, userOf } from "./store.js";

const SAFE = /^(https?:|mailto:)/i;
const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
export const unescape = (text) => text.replace(/&(amp|lt|gt);/g, (all) => ENTITIES[all]);

/** A link that can do no harm: http, https and mailto only; anything else stays text. */
export function link(url, label) {
  const address = unescape(url);
  if (!SAFE.test(address)) return h("span", {}, label ?? address);
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, label ?? address.replace(/^mailto:/, ""));
}

/** Elements of a mrkdwn text. */
export function mrkdwn(text) {
  const out = [];
  String(text ?? "").split(/(```[\s\S]*?```)/).forEach((part, i) => {
    if (i % 2) out.push(h("pre.code", {}, unescape(part.slice(3, -3).replace(/^\n|\n$/g, ""))));
    else if (part) out.push(...quoted(i ? part.replace(/^\n/, "") : part));
  });
  return out;
}

function quoted(text) {
  const out = [];
  let quote = null;
  const lines = text.split("\n");
  lines.forEach((line, i) => {
    const inQuote = /^(&gt;|>) ?/.exec(line);
    if (inQuote) {
      if (quote) quote.append(h("br"));
      else out.push(quote = h("blockquote", {}));
      quote.append(...inline(line.slice(inQuote[0].length)));
      return;
    }
    quote = null;
    out.push(...inline(line));
    if (i < lines.length - 1 && !/^(&gt;|>)/.test(lines[i + 1])) out.push(h("br"));
  });
  return out;
}

// Each rule: what it matches at a word's edge, and what it becomes. Styles nest; code does not.
const RULE = new RegExp([
  "`([^`\\n]+)`", "<([^<>\\n]+)>", "(?<![\\w*])\\*(?=\\S)([^*\\n]*?\\S)\\*(?![\\w*])", "(?<![\\w_])_(?=\\S)([^_\\n]*?\\S)_(?![\\w_])",
  "(?<![\\w~])~(?=\\S)([^~\\n]*?\\S)~(?![\\w~])", ":([a-z0-9_+'-]+(?:::skin-tone-\\d)?):",
].join("|"), "g");

export function inline(text) {
  const out = [];
  let at = 0;
  for (const found of text.matchAll(RULE)) {
    const node = token(found);
    if (node === null) continue;
    if (found.index > at) out.push(unescape(text.slice(at, found.index)));
    out.push(node);
    at = found.index + found[0].length;
  }
  if (at < text.length) out.push(unescape(text.slice(at)));
  return out;
}

function token([all, code, angle, bold, italic, strike, short]) {
  if (code !== undefined) return h("code", {}, unescape(code));
  if (angle !== undefined) return special(angle);
  if (bold !== undefined) return h("strong", {}, inline(bold));
  if (italic !== undefined) return h("em", {}, inline(italic));
  if (strike !== undefined) return h("s", {}, inline(strike));
  const sign = emoji(short);
  return sign ? h("span.emoji", { title: all }, sign) : null;
}

function special(body) {
  const [target, label] = [body.split("|")[0], body.includes("|") ? body.slice(body.indexOf("|") + 1) : undefined];
  if (target.startsWith("@")) return mention(target.slice(1), label);
  if (target.startsWith("#")) return h("span.mention", {}, `#${channelOf(target.slice(1))?.name ?? label ?? target.slice(1)}`);
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!")) return h("span.mention.broadcast", {}, label ?? `@${target.slice(1).split("^")[0]}`);
  return link(target, label === undefined ? undefined : inline(label));
}

export function mention(id, label) {
  return h("span.mention", { title: nameOf(id) }, `@${userOf(id)?.name ?? label ?? id}`);
}

const two = (n) => String(n).padStart(2, "0");
const FORMATS = {
  date_num: (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`,
  date_slash: (d) => `${two(d.getMonth() + 1)}/${two(d.getDate())}/${d.getFullYear()}`,
  date: (d) => d.toLocaleDateString("en", { dateStyle: "long" }),
  date_short: (d) => d.toLocaleDateString("en", { dateStyle: "medium" }),
  date_long: (d) => d.toLocaleDateString("en", { dateStyle: "full" }),
  date_pretty: (d) => day(d) ?? FORMATS.date(d),
  date_short_pretty: (d) => day(d) ?? FORMATS.date_short(d),
  date_long_pretty: (d) => day(d) ?? FORMATS.date_long(d),
  time: (d) => `${two(d.getHours())}:${two(d.getMinutes())}`,
  time_secs: (d) => `${FORMATS.time(d)}:${two(d.getSeconds())}`,
  ago: (d) => ago(d.getTime() / 1000),
};

function day(d) {
  const days = Math.round((new Date().setHours(12, 0, 0, 0) - new Date(d).setHours(12, 0, 0, 0)) / 86400000);
  return { "-1": "tomorrow", 0: "today", 1: "yesterday" }[days];
}

export function ago(seconds) {
  const s = Math.max(0, Math.round(Date.now() / 1000 - seconds));
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  return s < 86400 ? `${Math.floor(s / 3600)} h ago` : `${Math.floor(s / 86400)} d ago`;
}

export function formatDate(seconds, format, fallback = "") {
  const when = new Date(Number(seconds) * 1000);
  if (Number.isNaN(when.getTime())) return fallback;
  return format.replace(/\{(\w+)\}/g, (all, name) => FORMATS[name]?.(when) ?? all);
}

function date(target, fallback = "") {
  const [, seconds, format = "{date_num}", url] = target.split("^");
  const time = h("time", { title: new Date(Number(seconds) * 1000).toString() }, formatDate(seconds, format, fallback));
  return url ? link(url, time) : time;
}
