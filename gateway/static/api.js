// The gateway's routes as functions; everything that the page knows comes through here.

const products = new Map(); // item id -> promise of its Product, or of null where it is gone
const KEEP_MS = 30_000; // prices and stock on a card are at most this old

const KEY = "freshet-api-key";
let key = sessionStorage.getItem(KEY) || "";

/** Ask whoever looks at the page for a key, once for as long as the tab is open. */
function askForKey() {
  key = (prompt("This shop asks for an API key; one of the role admin shows everything.") || "").trim();
  sessionStorage.setItem(KEY, key);
  return key;
}

async function ask(path, options = {}, isLast = false) {
  const sent = key;
  const headers = { ...options.headers, ...(sent && { "X-API-Key": sent }) };
  const response = await fetch(path, { ...options, headers });
  // Another request may have asked for the key meanwhile.
  if (response.status === 401 && !isLast && (key !== sent || askForKey())) return ask(path, options, true);
  const body = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) {
    const error = new Error(body?.detail || body?.title || `The shop answered ${response.status}.`);
    error.status = response.status;
    throw error;
  }
  return body;
}

const asJson = (value) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(value),
});

const user = (userId) => `/v1/users/${encodeURIComponent(userId)}`;

export const recommendations = (userId, n) => ask(`${user(userId)}/recommendations?n=${n}`);

/** What is popular, the newest where nothing is yet; of one category where it is named. */
export const trending = (n, category = "") =>
  ask(`/v1/trending?n=${n}${category ? `&category=${encodeURIComponent(category)}` : ""}`);

export const similar = (itemId, n) => ask(`/v1/items/${encodeURIComponent(itemId)}/similar?n=${n}`);
export const send = (click) => ask("/v1/clicks", asJson(click));

/** Products by text, picture or both. */
export function search({ text, image, n, userId }) {
  if (!image) return ask("/v1/search", asJson({ text, n, user_id: userId }));
  const form = new FormData();
  form.append("image", image);
  if (text) form.append("text", text);
  form.append("n", String(n));
  form.append("user_id", userId);
  return ask("/v1/search", { method: "POST", body: form });
}

/** What a text that is being typed may become. */
export const suggest = (text) => ask(`/v1/search/suggest?n=8&q=${encodeURIComponent(text)}`);

/** What is ready; also while the gateway is still catching up (503). */
export async function readiness() {
  const response = await fetch("/readyz");
  return { isReady: response.ok, ...(await response.json().catch(() => ({}))) };
}

/** A product, or null where the shop has it no longer. */
export function product(itemId) {
  const kept = products.get(itemId);
  if (kept && Date.now() - kept.at < KEEP_MS) return kept.promise;
  const promise = ask(`/v1/items/${encodeURIComponent(itemId)}`).catch((error) => {
    products.delete(itemId);
    if (error.status === 404 || error.status === 410) return null;
    throw error;
  });
  products.set(itemId, { promise, at: Date.now() });
  return promise;
}

/**
 * Follow a shopper's list: by server-sent events, or by asking every two seconds where there are none.
 * Returns a function that ends it.
 */
export function follow(userId, n, onList, onProblem) {
  let ended = false;
  let timer = 0;
  let version = "";
  const take = (list) => {
    if (ended || (list.version && list.version === version)) return;
    version = list.version || "";
    onList(list);
  };
  const poll = async () => {
    try {
      take(await recommendations(userId, n));
    } catch (error) {
      if (!ended) onProblem(error);
    }
    if (!ended) timer = setTimeout(poll, 2000);
  };
  const stream = new EventSource(`${user(userId)}/stream?n=${n}`);
  stream.addEventListener("recommendations", (event) => take(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED && !ended && !timer) timer = setTimeout(poll, 0);
  });
  recommendations(userId, n).then(take, onProblem);
  return () => {
    ended = true;
    stream.close();
    clearTimeout(timer);
  };
}
