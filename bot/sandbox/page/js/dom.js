// Builds elements from data (never from markup) and morphs an old tree into a new one, so that focus, scroll,
// what was typed and open <details> survive every update.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "selected", "indeterminate"]);

/** h("button.primary", {onclick, "aria-label": "…", key: "a"}, "text", child, [more], null) */
export function h(name, props, ...children) {
  const [tag, ...classes] = name.split(".");
  const el = tag === "svg" || tag === "path" ? document.createElementNS(SVG, tag) : document.createElement(tag || "div");
  if (classes.length) el.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props ?? {})) set(el, key, value);
  append(el, children);
  return el;
}

function set(el, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key === "key") el.__key = String(value);
  else if (key === "sig") el.__sig = value;
  else if (key.startsWith("on")) listen(el, key.slice(2), value);
  else if (key === "class") el.setAttribute("class", [el.getAttribute("class"), value].filter(Boolean).join(" "));
  else if (key === "style") for (const [name, text] of Object.entries(value)) el.style.setProperty(name, text);
  else if (PROPERTIES.has(key)) { el[key] = value; (el.__given ??= {})[key] = value; }
  else el.setAttribute(key, value === true ? "" : value);
}

function listen(el, type, fn) {
  el.__on ??= {};
  if (!(type in el.__on)) el.addEventListener(type, heard);
  el.__on[type] = fn;
}

function heard(event) {
  return event.currentTarget.__on?.[event.type]?.call(event.currentTarget, event);
}

function append(el, children) {
  for (const child of children.flat(4)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    el.append(child instanceof Node ? child : String(child));
  }
}

/** A list item that is built only when its `sig` differs from what stands in the page under the same key. */
export const lazy = (key, sig, build) => ({ key: String(key), sig, build });

/** Make the children of `parent` equal to `wanted` (nodes, strings and lazies), changing as little as possible. */
export function fill(parent, wanted) {
  const next = wanted.flat(4).filter((c) => c !== null && c !== undefined && c !== false && c !== "")
    .map((item) => (typeof item === "object" ? item : document.createTextNode(item)));
  const keyed = new Map();
  for (const old of parent.childNodes) if (keyOf(old) !== undefined) keyed.set(keyOf(old), old);
  // What goes is taken out first: a node that is moved past it would lose the focus.
  const staying = new Set(next.map(keyOf));
  for (const [key, old] of keyed) if (!staying.has(key)) old.remove();
  let at = parent.firstChild;
  for (const item of next) {
    const key = keyOf(item);
    const old = key === undefined ? (at && keyOf(at) === undefined ? at : null) : keyed.get(key);
    while (key !== undefined && old && at && at !== old && keyOf(at) === undefined) at = removed(at);
    const fresh = old && !(item instanceof Node) && old.__sig === item.sig ? null : realise(item);
    const kept = old && (fresh === null || morph(old, fresh)) ? old : fresh;
    if (kept === at) at = at.nextSibling;
    else parent.insertBefore(kept, at);
    if (kept !== old && old && old === at) at = removed(at);
  }
  while (at) at = removed(at);
}

const keyOf = (item) => (item instanceof Node ? item.__key : item.key);

function removed(node) {
  const after = node.nextSibling;
  node.remove();
  return after;
}

function realise(item) {
  if (item instanceof Node) return item;
  const node = item.build();
  node.__key = item.key;
  node.__sig = item.sig;
  return node;
}

/** Turn `old` into `fresh` in place; false when they are of different kinds and `fresh` must take its place. */
export function morph(old, fresh) {
  if (old === fresh) return true;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return false;
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return true;
  }
  if (old.__key !== fresh.__key) return false;
  old.__sig = fresh.__sig;
  attributes(old, fresh);
  events(old, fresh);
  if (old.nodeName !== "TEXTAREA") fill(old, [...fresh.childNodes]);
  values(old, fresh);
  return true;
}

function attributes(old, fresh) {
  const own = old.nodeName === "DETAILS" || old.nodeName === "DIALOG" ? "open" : null; // belongs to the reader
  for (const { name, value } of [...fresh.attributes]) {
    if (name !== own && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (name !== own && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
}

function events(old, fresh) {
  for (const [type, fn] of Object.entries(fresh.__on ?? {})) listen(old, type, fn);
  for (const type of Object.keys(old.__on ?? {})) if (!(type in (fresh.__on ?? {}))) delete old.__on[type];
}

// What a person typed or chose stays, unless the value that was given from outside has itself changed.
function values(old, fresh) {
  for (const [key, value] of Object.entries(fresh.__given ?? {})) {
    if (old.__given?.[key] !== value && old[key] !== value) old[key] = value;
  }
  old.__given = fresh.__given;
}

export const $ = (selector, root = document) => root.querySelector(selector);

/** An icon of one path on a 20 by 20 grid, drawn with the current colour. */
export function icon(path) {
  return h("svg.icon", { viewBox: "0 0 20 20", width: "20", height: "20", "aria-hidden": "true", fill: "none",
    stroke: "currentColor", "stroke-width": "1.6", "stroke-linecap": "round", "stroke-linejoin": "round" },
  h("path", { d: path }));
}
