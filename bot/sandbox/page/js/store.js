// What the page knows: the server's state, and what this reader has chosen. One render per frame, however many changes.

const listeners = new Set();
let queued = false;
let revision = -1;
let fetching = null;
let again = false;

export const store = { state: null, at: 0, connected: true, error: "" };

const remembered = (() => {
  try { return JSON.parse(localStorage.getItem("captain") ?? "{}"); } catch { return {}; }
})();

/** The reader's own choices; `user` is the persona's id. `read` is {user: {channel: ts}}. */
export const ui = {
  user: null, channel: null, home: false, thread: null, panel: "world", place: "chat", editing: null,
  duration: "30", theme: "auto", read: {}, drafts: {}, ...remembered,
};

export function subscribe(fn) { listeners.add(fn); }

export function choose(changes) {
  Object.assign(ui, changes);
  const { user, channel, home, panel, duration, theme, read } = ui;
  try { localStorage.setItem("captain", JSON.stringify({ user, channel, home, panel, duration, theme, read })); } catch { /* private mode */ }
  render();
}

export function render() {
  if (queued) return;
  queued = true;
  requestAnimationFrame(() => {
    queued = false;
    for (const fn of listeners) fn();
  });
}

export async function refresh() {
  if (fetching) { again = true; return fetching; }
  fetching = (async () => {
    try {
      const answer = await fetch("state?for=page", { headers: { accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      store.state = await answer.json();
      store.at = Date.now();
      store.connected = true;
    } catch {
      store.connected = false;
    }
    render();
  })();
  await fetching;
  fetching = null;
  if (again) { again = false; await refresh(); }
}

/** Follow the server's changes for as long as the page is open; EventSource reconnects by itself. */
export function follow() {
  const source = new EventSource("events");
  source.addEventListener("change", (event) => {
    const seen = Number(event.data);
    if (seen !== revision) { revision = seen; refresh(); }
  });
  source.addEventListener("open", () => { if (!store.connected) refresh(); });
  source.addEventListener("error", () => { store.connected = false; render(); });
}

/** Do something in the sandbox. Resolves to the answer; a refusal is shown to the reader and resolves to null. */
export async function act(name, body = {}) {
  let said;
  try {
    const answer = await fetch(`act/${name}`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
    const data = await answer.json();
    if (answer.ok) { refresh(); return data; }
    said = data.error;
  } catch {
    said = "The sandbox does not answer. Is it still running?";
  }
  tell(said);
  return null;
}

let clearing;
export function tell(sentence) {
  store.error = sentence;
  render();
  clearTimeout(clearing);
  clearing = setTimeout(() => { store.error = ""; render(); }, 9000);
}

// Look-ups that every part of the page needs.
export const slack = () => store.state?.slack ?? { channels: [], users: [], messages: [], views: [], homes: {} };
export const userOf = (id) => slack().users.find((u) => u.id === id || u.name === id);
export const channelOf = (id) => slack().channels.find((c) => c.id === id || c.name === id);
export const people = () => slack().users.filter((u) => !u.is_bot);
export const nameOf = (id) => userOf(id)?.real_name || userOf(id)?.name || id || "unknown";

/** Messages this persona can see in a channel, oldest first. */
export function visible(channel) {
  return slack().messages.filter((m) => m.channel === channel && (!m.ephemeral_to || m.ephemeral_to === ui.user))
    .sort((a, b) => (a.ts < b.ts ? -1 : 1));
}

export const isReply = (m) => Boolean(m.thread_ts) && m.thread_ts !== m.ts;

export function unread(channel) {
  const last = ui.read[ui.user]?.[channel] ?? "0";
  return visible(channel).filter((m) => m.ts > last && m.user !== ui.user).length;
}

export function markRead(channel) {
  const newest = visible(channel).at(-1)?.ts;
  if (!newest || (ui.read[ui.user]?.[channel] ?? "0") >= newest) return;
  choose({ read: { ...ui.read, [ui.user]: { ...ui.read[ui.user], [channel]: newest } } });
}
